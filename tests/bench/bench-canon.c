/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Nanoseconds a record takes to become canonical, a line for each type: owner name, rdata, both,
   and what ldns takes to read and print the same record. Usage: bench-canon [milliseconds] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ldns/ldns.h>

#include <cofd/dns.h>

#define VARIANTS 256

struct sample {
  const char *type;
  const char *rdata; /* %u stands for a number that differs from record to record */
  bool canonical;
};

struct line {
  char name[64], rdata[512], record[640];
  size_t name_len, rdata_len;
};

static const struct sample samples[] = {
    {"A", "192.0.2.%u", true},
    {"AAAA", "2001:db8:0:8::%u", true},
    {"AAAA", "2001:0DB8:0:8:0:0:0:%u", false},
    {"NS", "ns%u.example.com", true},
    {"NS", "NS%u.Example.COM.", false},
    {"CNAME", "edge-%u.cdn.example.net", true},
    {"PTR", "host-%u.dynamic.example.net", true},
    {"MX", "10 mail%u.example.com", true},
    {"SRV", "0 5 5060 sip%u.example.com", true},
    {"TXT", "\"v=spf1 ip4:192.0.2.%u include:_spf.example.com -all\"", true},
    {"SOA", "ns%u.example.com hostmaster.example.com 2018031200 1800 900 604800 86400", true},
    {"HTTPS", "1 . alpn=h3,h2 ipv4hint=192.0.2.%u", true},
    {"DS", "%u 8 2 4F74856F31B73F3BFCDF430985329F55AA655BC9E53C4BF9DC6B14CCE6780600", true},
    {"NSEC", "host%u.example.com NS DS RRSIG NSEC", true},
    {"CAA", "0 issue \"ca%u.example.net\"", true},
};

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fill(struct line *lines, const struct sample *sample)
{
  for (unsigned i = 0; i < VARIANTS; i++) {
    struct line *l = &lines[i];
    snprintf(l->name, sizeof l->name, "www%u.example-site.com", i * 37 % 1000);
    snprintf(l->rdata, sizeof l->rdata, sample->rdata, i % 250); /* a format of ours */
    snprintf(l->record, sizeof l->record, "%.63s. 0 IN %.15s %.500s", l->name, sample->type,
             l->rdata);
    l->name_len = strlen(l->name);
    l->rdata_len = strlen(l->rdata);
  }
}

static char out_name[COF_NAME_MAX], out_rdata[COF_RDATA_MAX + 1];

static bool run_name(uint16_t rrtype, const struct line *l)
{
  size_t n;
  (void)rrtype;
  return cof_name_canon(l->name, l->name_len, out_name, &n, NULL) == COF_OK;
}

static bool run_rdata(uint16_t rrtype, const struct line *l)
{
  size_t n;
  return cof_rdata_canon(rrtype, l->rdata, l->rdata_len, out_rdata, sizeof out_rdata, &n, NULL) ==
         COF_OK;
}

static bool run_both(uint16_t rrtype, const struct line *l)
{
  return run_name(rrtype, l) && run_rdata(rrtype, l);
}

static bool run_ldns(uint16_t rrtype, const struct line *l)
{
  (void)rrtype;
  ldns_rr *rr = NULL;
  if (ldns_rr_new_frm_str(&rr, l->record, 0, NULL, NULL) != LDNS_STATUS_OK)
    return false;
  char *text = ldns_rr2str(rr);
  ldns_rr_free(rr);
  free(text);
  return text != NULL;
}

/* Nanoseconds a call takes, in the best of many rounds, as others may use the machine too; below 0
   when a call fails. */
static double measure(bool (*run)(uint16_t, const struct line *), uint16_t rrtype,
                      const struct line *lines, double budget)
{
  double best = 1e18;
  for (double start = now(), end = start; end - start < budget;) {
    double round = now();
    for (size_t i = 0; i < VARIANTS; i++) {
      if (!run(rrtype, &lines[i]))
        return -1;
    }
    end = now();
    if (end - round < best)
      best = end - round;
  }
  return best / VARIANTS;
}

int main(int argc, char **argv)
{
  static struct line lines[VARIANTS];
  double budget = (argc > 1 ? strtod(argv[1], NULL) : 100) * 1e6;
  printf("%-6s %-9s %8s %8s %8s %8s  %s\n", "type", "input", "name ns", "rdata ns", "both ns",
         "ldns ns", "rdata");
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    const struct sample *s = &samples[i];
    uint16_t rrtype = 0;
    if (!cof_rrtype_parse(s->type, strlen(s->type), &rrtype))
      return EXIT_FAILURE;
    fill(lines, s);
    double name = measure(run_name, rrtype, lines, budget);
    double rdata = measure(run_rdata, rrtype, lines, budget);
    double both = measure(run_both, rrtype, lines, budget);
    double ldns = measure(run_ldns, rrtype, lines, budget);
    printf("%-6s %-9s %8.1f %8.1f %8.1f %8.1f  %s\n", s->type, s->canonical ? "canonical" : "other",
           name, rdata, both, ldns, lines[7].rdata);
    if (name < 0 || rdata < 0 || ldns < 0)
      return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
