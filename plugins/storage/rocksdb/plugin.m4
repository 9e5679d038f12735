dnl SPDX-License-Identifier: AGPL-3.0-or-later
AX_COFD_LIB([ROCKSDB], [rocksdb/c.h], [rocksdb], [rocksdb_batched_multi_get_cf], [librocksdb-dev])
