# SPDX-License-Identifier: AGPL-3.0-or-later
# Unit tests of what runs chains.
if HAVE_CMOCKA
UNIT_TESTS += %D%/test-via %D%/test-chain %D%/test-progress %D%/test-resume %D%/test-tuples %D%/test-window
%C%_test_progress_SOURCES = %D%/test-progress.c
%C%_test_progress_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_progress_LDADD = core/libcore.la $(CMOCKA_LIBS)
%C%_test_resume_SOURCES = %D%/test-resume.c
%C%_test_resume_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
%C%_test_resume_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_resume_LDADD = $(CORE_TEST_LDADD)
%C%_test_tuples_SOURCES = %D%/test-tuples.c
%C%_test_tuples_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_tuples_LDADD = core/libcore.la $(CMOCKA_LIBS)
%C%_test_chain_SOURCES = %D%/test-chain.c
%C%_test_chain_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_chain_LDADD = core/libcore.la $(CMOCKA_LIBS)
%C%_test_via_SOURCES = %D%/test-via.c
%C%_test_via_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_via_LDADD = core/libcore.la $(CMOCKA_LIBS)
%C%_test_window_SOURCES = %D%/test-window.c
%C%_test_window_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
%C%_test_window_LDADD = core/libcore.la $(CMOCKA_LIBS)
endif
