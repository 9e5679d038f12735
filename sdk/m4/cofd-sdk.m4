dnl SPDX-License-Identifier: MIT
dnl For plugins of cofd that are built outside its source tree.
# serial 1

# COFD_PLUGIN(KIND, [ABI-MAJOR = 1])
# ----------------------------------
# KIND is input, filter, storage or output. Finds the SDK by pkg-config, ends configure where it is
# missing or of another plugin ABI, and sets
#   COFD_SDK_CFLAGS, COFD_SDK_LIBS   to compile and link with
#   COFD_PLUGIN_LDFLAGS              for libtool, to make a plugin: one export, nothing undefined
#   cofdplugindir                    where plugins of this kind are installed
#   COFD                             the program, for `cofd plugin test`; "cofd" where not found
# --with-cofd-plugindir=DIR overrides the directory, which is needed where --prefix is not cofd's.
AC_DEFUN([COFD_PLUGIN], [
  m4_bmatch([$1], [^\(input\|filter\|storage\|output\)$], [],
    [m4_fatal([COFD_PLUGIN: expected input, filter, storage or output, not '$1'])])
  AC_REQUIRE([PKG_PROG_PKG_CONFIG])
  PKG_CHECK_MODULES([COFD_SDK], [cofd-sdk])
  AC_MSG_CHECKING([for the plugin ABI of cofd])
  cofd_abi=`$PKG_CONFIG --variable=abi_major cofd-sdk`
  AC_MSG_RESULT([$cofd_abi])
  AS_IF([test "$cofd_abi" != "m4_default([$2], [1])"],
    [AC_MSG_ERROR([this plugin is written for the plugin ABI m4_default([$2], [1]) of cofd])])
  AC_ARG_WITH([cofd-plugindir],
    [AS_HELP_STRING([--with-cofd-plugindir=DIR], [directory of cofd's plugins @<:@that of cofd@:>@])],
    [cofdplugindir="$withval/$1"],
    [cofdplugindir=`$PKG_CONFIG --variable=plugindir cofd-sdk`/$1])
  AC_SUBST([cofdplugindir])
  COFD_PLUGIN_LDFLAGS="-module -avoid-version -no-undefined -export-symbols-regex ^cof_plugin\$\$"
  COFD_PLUGIN_LDFLAGS="$COFD_PLUGIN_LDFLAGS `$PKG_CONFIG --variable=link_flags cofd-sdk`"
  AC_SUBST([COFD_PLUGIN_LDFLAGS])
  cofd_sbin=`$PKG_CONFIG --variable=sbindir cofd-sdk`
  AC_PATH_PROG([COFD], [cofd], [cofd], [$cofd_sbin:$PATH])
])
