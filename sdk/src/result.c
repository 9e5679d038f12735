/* SPDX-License-Identifier: MIT */
#include <cofd/option.h>
#include <cofd/result.h>

#include <stdarg.h>
#include <stdio.h>

enum cof_result cof_fail(struct cof_error *err, enum cof_result result, const char *fmt, ...)
{
  if (err != NULL) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
  }
  return result;
}

const char *cof_result_name(enum cof_result result)
{
  static const char *const names[] = {"ok",          "again",   "retry",   "reject",
                                      "unsupported", "timeout", "stopped", "fatal"};
  size_t i = (size_t)result;
  return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

void cof_diag_error(struct cof_diag *diag, const char *option, const char *fmt, ...)
{
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  diag->report(diag, option, text);
}
