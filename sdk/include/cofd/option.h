/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Typed options. A plugin declares a table; the host alone parses, checks, documents and reloads.
 */
#ifndef COFD_OPTION_H
#define COFD_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Type of an option, with the C type of the field that receives it. */
enum cof_opt_type {
  COF_OPT_STR = 1,  /**< `char *`: text as written */
  COF_OPT_INT,      /**< `int64_t`: decimal, within min..max */
  COF_OPT_BOOL,     /**< `bool`: yes/no, true/false, on/off, 1/0 */
  COF_OPT_ENUM,     /**< `int`: index into `choices` */
  COF_OPT_DURATION, /**< `int64_t` milliseconds: a number with ms, s, m, h or d; min..max in ms */
  COF_OPT_BYTES,    /**< `int64_t` octets: a number with an optional K, M, G (powers of 1024) */
  COF_OPT_ADDR,     /**< `struct cof_endpoint`: `192.0.2.1:80`, `[2001:db8::1]:80`, `host:80` */
  COF_OPT_PATH,   /**< `char *`: a file name; relative ones are relative to the working directory */
  COF_OPT_SECRET, /**< `char *`: as STR, not empty, and never shown in any output; the host reads it
                       from the file or credential that `@PATH` or `@NAME` stands for, and takes it
                       neither from a command line nor from a file that others can read */
  COF_OPT_LIST    /**< `struct cof_list`: texts separated by commas, white space trimmed, empty
                       ones left out; `min`..`max` bound their number */
};

/** Texts of a COF_OPT_LIST. */
struct cof_list {
  char **items; /**< NUL-terminated texts */
  size_t count;
};

/** Host and port of a COF_OPT_ADDR. */
struct cof_endpoint {
  char *host; /**< address or host name, without brackets */
  uint16_t port;
};

/** Properties of an option. */
enum cof_opt_flags {
  COF_OPT_REQUIRED = 1u << 0,   /**< must be given; has no default */
  COF_OPT_RELOADABLE = 1u << 1, /**< SIGHUP takes a new value; needs the plugin's reload() */
  COF_OPT_MULTI = 1u << 2,      /**< LIST only: the key may be repeated, values add up */
  COF_OPT_DEPRECATED = 1u << 3  /**< still works; a warning says so */
};

/**
 * One option. A table ends with an element whose name is NULL. Fields are only ever appended.
 * Strings and lists in the filled structure belong to the host (see cof_plugin.create).
 */
struct cof_option {
  const char *name;           /**< key in the file: lower case, digits and underscores */
  const char *help;           /**< one sentence, with the bound's reason where there is one */
  const char *dflt;           /**< default, read by the same parser; NULL: zero / NULL / empty */
  enum cof_opt_type type;     /**< how to parse */
  uint32_t flags;             /**< enum cof_opt_flags */
  size_t offset;              /**< of the field in the plugin's configuration structure */
  size_t size;                /**< of the field; checked against the type when loaded */
  int64_t min, max;           /**< inclusive bounds of INT, DURATION, BYTES, LIST; both 0: none */
  const char *const *choices; /**< ENUM: NULL-terminated words */
  const char *unit;           /**< what a number counts, for the reference ("records"); or NULL */
};

/** The place of an option: `COF_FIELD(struct my_conf, field)` fills offset and size. */
#define COF_FIELD(structure, field)                                                                \
  .offset = offsetof(structure, field), .size = sizeof(((structure *)NULL)->field)

/** Collects mistakes that a plugin's check() finds across its options. */
struct cof_diag;

/**
 * Report a mistake; the host adds file and line of the option.
 * @param option  name of the option to blame, or NULL for the section as a whole
 * @param fmt     what is wrong and what would be right, without a trailing newline
 */
void cof_diag_error(struct cof_diag *diag, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** What stands behind a cof_diag; the host provides it. */
struct cof_diag {
  void (*report)(struct cof_diag *diag, const char *option, const char *text);
};

#ifdef __cplusplus
}
#endif
#endif
