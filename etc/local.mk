# SPDX-License-Identifier: AGPL-3.0-or-later
# Sample configurations (never installed over an operator's own) and a unit for systemd.
SAMPLE_CONFS = %D%/cofd.conf %D%/d4-redis.conf %D%/d4-kvrocks.conf
EXTRA_DIST += $(SAMPLE_CONFS) %D%/cofd.service.in %D%/dev-run.conf.in
confdir = $(sysconfdir)/cofd
exampledir = $(docdir)/examples
example_DATA = $(SAMPLE_CONFS) %D%/cofd.service
CLEANFILES += %D%/cofd.service

%D%/cofd.service: %D%/cofd.service.in Makefile
	$(AM_V_at)$(MKDIR_P) %D%
	$(AM_V_GEN)sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@confdir[@]|$(confdir)|g' \
		$(srcdir)/%D%/cofd.service.in >$@.tmp && mv $@.tmp $@
