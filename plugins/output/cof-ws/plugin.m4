dnl SPDX-License-Identifier: AGPL-3.0-or-later
PKG_CHECK_MODULES([LIBWEBSOCKETS], [libwebsockets], [],
  [AC_MSG_ERROR([libwebsockets is missing: install libwebsockets-dev])])
PKG_CHECK_MODULES([WSTLS], [openssl >= 1.1.1], [],
  [AC_MSG_ERROR([OpenSSL is missing: install libssl-dev])])
