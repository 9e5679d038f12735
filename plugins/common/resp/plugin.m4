dnl SPDX-License-Identifier: AGPL-3.0-or-later
AX_COFD_LIB([HIREDIS], [hiredis/hiredis.h], [hiredis], [redisReaderCreate], [libhiredis-dev])
PKG_CHECK_MODULES([OPENSSL], [openssl >= 1.1.1],
  [AC_DEFINE([RESP_HAVE_TLS], [1], [Whether connections to Redis and Kvrocks can use TLS])],
  [AC_MSG_NOTICE([no OpenSSL: connections to Redis and Kvrocks without TLS (install libssl-dev)])])
