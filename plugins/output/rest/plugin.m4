dnl SPDX-License-Identifier: AGPL-3.0-or-later
PKG_CHECK_MODULES([MICROHTTPD], [libmicrohttpd >= 0.9.75])
PKG_CHECK_MODULES([IDN2], [libidn2 >= 2.0])
PKG_CHECK_MODULES([ZLIB], [zlib])
PKG_CHECK_MODULES([GNUTLS], [gnutls >= 3.6])
AX_COFD_LIB([CRYPT], [crypt.h], [crypt], [crypt_rn], [libcrypt-dev])
