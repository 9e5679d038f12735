dnl SPDX-License-Identifier: AGPL-3.0-or-later
AX_COFD_LIB([ZLIB], [zlib.h], [z], [inflateInit2_], [zlib1g-dev])
AX_COFD_LIB([ZSTD], [zstd.h], [zstd], [ZSTD_decompressStream], [libzstd-dev])
