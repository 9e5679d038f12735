# SPDX-License-Identifier: AGPL-3.0-or-later
# Cuts text into COF objects, for inputs that do not read by cofd/follow.h: $(SPLIT_LIBS),
# -I$(SPLIT_DIR). The source is that of the SDK, which does not export it.
SPLIT_DIR = $(top_srcdir)/sdk/src/follow
SPLIT_LIBS = %D%/libsplit.la
noinst_LTLIBRARIES += %D%/libsplit.la
%C%_libsplit_la_SOURCES = sdk/src/follow/split.c sdk/src/follow/split_private.h
