dnl SPDX-License-Identifier: AGPL-3.0-or-later

dnl AX_COFD_LIB(VARIABLE, HEADER, LIBRARY, FUNCTION, DEBIAN-PACKAGE)
dnl Sets VARIABLE_LIBS; ends configure with the package to install when it is missing.
AC_DEFUN([AX_COFD_LIB], [
  AC_CHECK_HEADER([$2], [], [AC_MSG_ERROR([$2 is missing: install $5])])
  AC_CHECK_LIB([$3], [$4], [$1_LIBS=-l$3], [AC_MSG_ERROR([lib$3 is missing: install $5])])
  AC_SUBST([$1_LIBS])
])

dnl COFD_HARDENING: warnings and hardening, each where the compiler has it.
AC_DEFUN([COFD_TRY_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  cofd_save="$CFLAGS"
  CFLAGS="$CFLAGS -Werror $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
  CFLAGS="$cofd_save"
])
AC_DEFUN([COFD_HARDENING], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [treat warnings as errors])])
  COFD_CFLAGS="-Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla"
  AS_IF([test "x$enable_werror" = xyes], [COFD_CFLAGS="$COFD_CFLAGS -Werror"])
  COFD_TRY_FLAG([COFD_CFLAGS], [-fstack-protector-strong])
  COFD_TRY_FLAG([COFD_CFLAGS], [-fstack-clash-protection])
  COFD_TRY_FLAG([COFD_CFLAGS], [-fcf-protection])
  COFD_TRY_FLAG([COFD_CFLAGS], [-fvisibility=hidden])
  COFD_LDFLAGS=
  COFD_TRY_FLAG([COFD_LDFLAGS], [-Wl,-z,relro])
  COFD_TRY_FLAG([COFD_LDFLAGS], [-Wl,-z,now])
  COFD_TRY_FLAG([COFD_LDFLAGS], [-Wl,-z,noexecstack])
  AC_SUBST([COFD_CFLAGS])
  AC_SUBST([COFD_LDFLAGS])
])

dnl COFD_SANITIZE: --enable-sanitize=address,undefined | thread
AC_DEFUN([COFD_SANITIZE], [
  AC_ARG_ENABLE([sanitize],
    [AS_HELP_STRING([--enable-sanitize=LIST], [build with these sanitizers, e.g. address,undefined])])
  AS_CASE(["$enable_sanitize"], [""|no],
    [COFD_CPPFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"; COFD_UNDEFINED="-Wl,-z,defs"],
    [COFD_CPPFLAGS=
     COFD_UNDEFINED=
     COFD_CFLAGS="$COFD_CFLAGS -fsanitize=$enable_sanitize -fno-omit-frame-pointer -g"
     COFD_LDFLAGS="$COFD_LDFLAGS -fsanitize=$enable_sanitize"])
  AC_SUBST([COFD_CPPFLAGS])
  AC_SUBST([COFD_UNDEFINED])
  AM_CONDITIONAL([SANITIZE], [test -n "$enable_sanitize" && test "x$enable_sanitize" != xno])
  AM_CONDITIONAL([WITH_TSAN], [test "x$enable_sanitize" = xthread])
])

dnl COFD_FUZZING: --enable-fuzzing instruments everything and links tests/fuzz with libFuzzer.
AC_DEFUN([COFD_FUZZING], [
  AC_ARG_ENABLE([fuzzing],
    [AS_HELP_STRING([--enable-fuzzing], [build the libFuzzer targets of tests/fuzz; needs CC=clang])])
  AM_CONDITIONAL([FUZZING], [test "x$enable_fuzzing" = xyes])
  AS_IF([test "x$enable_fuzzing" = xyes], [
    COFD_CPPFLAGS=
    COFD_UNDEFINED=
    cofd_flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    COFD_CFLAGS="$COFD_CFLAGS -fsanitize=fuzzer-no-link $cofd_flags -fno-omit-frame-pointer -g"
    COFD_LDFLAGS="$COFD_LDFLAGS $cofd_flags"
    cofd_save="$CFLAGS"
    CFLAGS="$CFLAGS -fsanitize=fuzzer"
    AC_MSG_CHECKING([whether $CC links with libFuzzer])
    AC_LINK_IFELSE([AC_LANG_SOURCE([[
      #include <stddef.h>
      #include <stdint.h>
      int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
      int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return !data && size; }
    ]])], [AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])
      AC_MSG_ERROR([--enable-fuzzing needs CC=clang and its runtime: install clang libclang-rt-dev])])
    CFLAGS="$cofd_save"
  ])
])

dnl COFD_SECCOMP: libseccomp, where it is, for [cofd] seccomp; --with-seccomp insists on it.
AC_DEFUN([COFD_SECCOMP], [
  AC_ARG_WITH([seccomp],
    [AS_HELP_STRING([--without-seccomp], [do without the filter of system calls (libseccomp)])],
    [], [with_seccomp=check])
  AS_IF([test "x$with_seccomp" != xno], [
    PKG_CHECK_MODULES([SECCOMP], [libseccomp >= 2.5],
      [AC_DEFINE([HAVE_SECCOMP], [1], [Define to 1 where libseccomp is used.])],
      [AS_IF([test "x$with_seccomp" = xyes],
        [AC_MSG_ERROR([libseccomp is missing: install libseccomp-dev])],
        [AC_MSG_NOTICE([no libseccomp (libseccomp-dev): cofd.conf has no seccomp])])])
  ])
])
