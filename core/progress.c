/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "progress_private.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_MIN          10
#define BAR_MAX          40
#define BAR_INTERVAL_MS  200
#define LINE_INTERVAL_MS 10000

static void size_text(uint64_t bytes, char out[32])
{
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = (double)bytes;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
    value /= 1024;
  snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* What is done of what there is: octets, or records. */
struct part {
  uint64_t done, before, total;
};

static struct part part_of(const struct progress *p)
{
  if (p->bytes_total != 0)
    return (struct part){.done = p->bytes_done, .total = p->bytes_total};
  return (struct part){.done = p->records, .before = p->records_before, .total = p->records_total};
}

static void eta_text(const struct progress *p, char out[32])
{
  struct part part = part_of(p);
  out[0] = '\0';
  if (part.total == 0 || part.done <= part.before || part.done >= part.total)
    return;
  double left = (double)(part.total - part.done) / (double)(part.done - part.before);
  unsigned long seconds = (unsigned long)(left * (double)p->elapsed_ns / 1e9 + 0.5);
  if (seconds >= 3600)
    snprintf(out, 32, ", ETA %lu:%02lu:%02lu", seconds / 3600, seconds / 60 % 60, seconds % 60);
  else
    snprintf(out, 32, ", ETA %lu:%02lu", seconds / 60, seconds % 60);
}

static void bar_text(const struct progress *p, unsigned columns, size_t taken,
                     char out[BAR_MAX + 4])
{
  struct part part = part_of(p);
  out[0] = '\0';
  if (part.total == 0 || columns < taken + BAR_MIN + 4)
    return;
  size_t width = columns - taken - 4 < BAR_MAX ? columns - taken - 4 : BAR_MAX;
  double share = (double)part.done / (double)part.total;
  size_t full = (size_t)((share > 1 ? 1 : share) * (double)width);
  out[0] = '[';
  memset(out + 1, '#', full);
  memset(out + 1 + full, '.', width - full);
  memcpy(out + 1 + width, "] ", 3);
}

static void amount_text(const struct progress *p, char out[96])
{
  char done[32], total[32];
  size_text(p->bytes_done, done);
  size_text(p->bytes_total, total);
  if (p->bytes_total != 0)
    snprintf(out, 96, "%s of %s, %llu records", done, total, (unsigned long long)p->records);
  else if (p->records_total != 0)
    snprintf(out, 96, "%llu of about %llu records", (unsigned long long)p->records,
             (unsigned long long)p->records_total);
  else if (p->bytes_done != 0)
    snprintf(out, 96, "%s, %llu records", done, (unsigned long long)p->records);
  else
    snprintf(out, 96, "%llu records", (unsigned long long)p->records);
}

/* Estimates may be too low; never more than all is done. */
static void percent_text(const struct progress *p, char out[16])
{
  struct part part = part_of(p);
  double share = part.total != 0 ? (double)part.done / (double)part.total : 0;
  out[0] = '\0';
  if (part.total != 0)
    snprintf(out, 16, "%3.0f%% ", 100.0 * (share > 1 ? 1 : share));
}

char *progress_text(const struct progress *p, unsigned columns, char out[PROGRESS_MAX])
{
  char amount[96], eta[32], text[PROGRESS_MAX - BAR_MAX - 4], percent[16];
  double seconds = (double)p->elapsed_ns / 1e9;
  uint64_t rate = seconds > 0 ? (uint64_t)((double)(p->records - p->records_before) / seconds) : 0;
  amount_text(p, amount);
  percent_text(p, percent);
  eta_text(p, eta);
  snprintf(text, sizeof text, "%s%s%s%s, %llu/s, %llu rejected%s", p->what != NULL ? p->what : "",
           p->what != NULL ? ": " : "", percent, amount, (unsigned long long)rate,
           (unsigned long long)p->rejected, eta);
  char bar[BAR_MAX + 4];
  bar_text(p, columns, strlen(text), bar);
  /* A line that wraps could not be written over. */
  snprintf(out, columns > 0 && columns < PROGRESS_MAX ? columns : PROGRESS_MAX, "%s%s", bar, text);
  return out;
}

unsigned progress_columns(void)
{
  struct winsize size;
  if (!isatty(STDERR_FILENO))
    return 0;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

unsigned progress_interval_ms(void)
{
  return progress_columns() > 0 ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
}

void progress_show(const struct progress *p)
{
  char text[PROGRESS_MAX];
  unsigned columns = progress_columns();
  progress_text(p, columns, text);
  fprintf(stderr, columns > 0 ? "\r%s\033[K" : "%s\n", text);
  fflush(stderr);
}
