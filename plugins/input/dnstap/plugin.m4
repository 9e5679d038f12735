dnl SPDX-License-Identifier: AGPL-3.0-or-later
PKG_CHECK_MODULES([FSTRM], [libfstrm >= 0.6])
PKG_CHECK_MODULES([PROTOBUF_C], [libprotobuf-c >= 1.3])
AC_CHECK_PROGS([PROTOC_C], [protoc-c])
AS_IF([test -z "$PROTOC_C"], [AC_MSG_ERROR([protoc-c is missing: install protobuf-c-compiler])])
