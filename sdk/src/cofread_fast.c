/* SPDX-License-Identifier: MIT */
#include "cofread_private.h"

#if defined(__SSE2__) && !defined(COFREAD_NO_SIMD)
#include <emmintrin.h>
#define SIMD 1
#else
#define SIMD 0
#endif

#define MAX_DIGITS 18 /* whatever they are, they fit 63 bits */

/* The scanner's state: everything in registers while its functions are inlined. */
struct scan {
  const char *p, *end;
  struct cof_reader *reader;
  size_t text_len;
  bool wrapped; /* the object within a SAF wrapper has been, or is being, read */
  bool no_room;
};

/* Octets that end a run of plain string octets: quote, backslash, control octets. */
static inline bool is_special(char c)
{
  return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

#if SIMD
static inline unsigned special_mask(const char *p)
{
  __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
  __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
  __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
  __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
  return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control));
}

/* The text is longer than a load, so the last one may begin before p. */
static inline const char *find_special(const char *p, const char *end)
{
  for (; end - p >= 16; p += 16) {
    unsigned mask = special_mask(p);
    if (mask != 0)
      return p + __builtin_ctz(mask);
  }
  unsigned mask = special_mask(end - 16) >> (16 - (end - p));
  return mask != 0 ? p + __builtin_ctz(mask) : end;
}
#else
static inline const char *find_special(const char *p, const char *end)
{
  while (p < end && !is_special(*p))
    p++;
  return p;
}
#endif

static inline void skip_blanks(struct scan *s)
{
  /* One blank or none, mostly. */
  if (s->p < s->end && *s->p == ' ')
    s->p++;
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
    s->p++;
}

static char unescaped(char c)
{
  switch (c) {
  case '"':
  case '\\':
  case '/':
    return c;
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return '\0'; /* \u, or an error */
  }
}

/* A string with escapes, which start at `q`. All unescaped strings together are shorter than the
   text, so room for that much lets them stay where they are. */
static bool __attribute__((noinline))
take_escaped(struct scan *s, const char *q, struct cofread_value *v)
{
  struct cofread_buffer *texts = &s->reader->texts;
  if (!cofread_reserve(texts, s->text_len)) {
    s->no_room = true;
    return false;
  }
  char *start = (char *)texts->bytes + texts->used, *out = start;
  for (const char *from = s->p;; q = find_special(from, s->end)) {
    memcpy(out, from, (size_t)(q - from));
    out += q - from;
    if (q < s->end && *q == '"')
      break;
    if (s->end - q < 2 || *q != '\\')
      return false;
    char c = unescaped(q[1]);
    if (c == '\0')
      return false;
    *out++ = c;
    from = q + 2;
  }
  s->p = q + 1;
  *v = (struct cofread_value){.text = start, .len = (size_t)(out - start), .kind = COFREAD_TEXT};
  texts->used += v->len;
  return true;
}

/* After the opening quote. */
static inline bool take_string(struct scan *s, struct cofread_value *v)
{
  const char *q = find_special(s->p, s->end);
  if (__builtin_expect(q == s->end || *q != '"', 0))
    return take_escaped(s, q, v);
  v->text = s->p;
  v->len = (size_t)(q - s->p);
  v->kind = COFREAD_TEXT;
  s->p = q + 1;
  return true;
}

/* `.5`: only so many digits as have the same whole part when read as a double, as jansson would. */
static bool __attribute__((noinline))
take_fraction(struct scan *s, size_t whole_digits, struct cofread_value *v)
{
  const char *start = ++s->p;
  bool zero = true;
  for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
    zero = zero && *s->p == '0';
  if (s->p == start || s->p - start > 6 || whole_digits > 10)
    return false;
  if (!zero)
    v->kind = COFREAD_FRACTION;
  return true;
}

/* Eight digits at once: neighbours are joined to pairs, pairs to fours, fours to the number. The
   first digit is the lowest octet, so a factor adds the higher part above the lower one. */
static inline bool eight_digits(const char *p, int64_t *out)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t x;
  memcpy(&x, p, sizeof x);
  const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0), zeros = UINT64_C(0x3030303030303030);
  /* '0' to '9' stay in their row of the code table even with 6 added; what lies above them does
     not, and nothing below is in it. */
  if ((x & high) != zeros || ((x + UINT64_C(0x0606060606060606)) & high) != zeros)
    return false;
  x -= zeros;
  x = ((x * (UINT64_C(10) << 8 | 1)) >> 8) & UINT64_C(0x00ff00ff00ff00ff);
  x = ((x * (UINT64_C(100) << 16 | 1)) >> 16) & UINT64_C(0x0000ffff0000ffff);
  *out = (int64_t)((x * (UINT64_C(10000) << 32 | 1)) >> 32);
  return true;
#else
  (void)p;
  (void)out;
  return false;
#endif
}

static inline bool take_number(struct scan *s, struct cofread_value *v)
{
  const char *start = s->p;
  int64_t n = 0;
  if (s->end - s->p >= 8 && eight_digits(s->p, &n))
    s->p += 8;
  for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
    if (s->p - start == MAX_DIGITS)
      return false;
    n = n * 10 + (*s->p - '0');
  }
  size_t count = (size_t)(s->p - start);
  if (count == 0 || s->p == s->end || (*start == '0' && count > 1))
    return false;
  v->integer = n;
  v->len = 0;
  v->kind = COFREAD_INTEGER;
  if (__builtin_expect(*s->p == '.', 0))
    return take_fraction(s, count, v);
  /* An exponent is not among what may follow, and so is left to jansson. */
  return true;
}

static bool take_word(struct scan *s, const char *word, size_t len, enum cofread_kind kind,
                      struct cofread_value *v)
{
  if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
    return false;
  s->p += len;
  v->kind = kind;
  v->len = 0;
  return true;
}

/* An array of strings, the only one that means something. */
static bool __attribute__((noinline)) take_list(struct scan *s, struct cofread_fields *fields)
{
  struct cofread_buffer *list = &s->reader->list;
  s->p++;
  skip_blanks(s);
  if (s->p < s->end && *s->p == ']') {
    s->p++;
    return true;
  }
  for (size_t n = 0;; n++) {
    if (!cofread_reserve(list, (n + 1) * sizeof(struct cofread_value))) {
      s->no_room = true;
      return false;
    }
    struct cofread_value *values = list->bytes;
    if (s->p == s->end || *s->p++ != '"' || !take_string(s, &values[n]))
      return false;
    skip_blanks(s);
    fields->list = values;
    fields->list_count = n + 1;
    char c = s->p < s->end ? *s->p++ : '\0';
    if (c == ']')
      return true;
    if (c != ',')
      return false;
    skip_blanks(s);
  }
}

static inline bool take_value(struct scan *s, enum cofread_key key, struct cofread_fields *fields,
                              struct cofread_value *v)
{
  if (s->p == s->end)
    return false;
  switch (*s->p) {
  case '"':
    s->p++;
    return take_string(s, v);
  case '[':
    v->kind = COFREAD_LIST;
    v->len = 0;
    return key == COFREAD_RDATA && take_list(s, fields);
  case 't':
    return take_word(s, "true", 4, COFREAD_OTHER, v);
  case 'f':
    return take_word(s, "false", 5, COFREAD_OTHER, v);
  case 'n':
    return take_word(s, "null", 4, COFREAD_NULL, v);
  default:
    return take_number(s, v);
  }
}

/* After the opening quote of a key: true when it is `literal` with its closing quote. */
#define AHEAD(s, literal)                                                                          \
  ((size_t)((s)->end - (s)->p) >= sizeof literal "\"" - 1 &&                                       \
   memcmp((s)->p, literal "\"", sizeof literal "\"" - 1) == 0 &&                                   \
   ((s)->p += sizeof literal "\"" - 1, true))

/* The usual keys are told by comparing, the others by looking for their end. */
static inline bool take_key(struct scan *s, enum cofread_key *key)
{
  if (AHEAD(s, "rrname"))
    *key = COFREAD_RRNAME;
  else if (AHEAD(s, "rrtype"))
    *key = COFREAD_RRTYPE;
  else if (AHEAD(s, "rdata"))
    *key = COFREAD_RDATA;
  else if (AHEAD(s, "time_first"))
    *key = COFREAD_TIME_FIRST;
  else if (AHEAD(s, "time_last"))
    *key = COFREAD_TIME_LAST;
  else if (AHEAD(s, "count"))
    *key = COFREAD_COUNT;
  else if (AHEAD(s, "sensor_id"))
    *key = COFREAD_SENSOR_ID;
  else {
    struct cofread_value v;
    if (!take_string(s, &v))
      return false;
    *key = cofread_key_of(v.text, v.len);
  }
  return true;
}

static bool take_wrapped(struct scan *s, struct cofread_fields *fields);

/* `use`: whether known keys mean something here. */
static inline bool take_pair(struct scan *s, bool use, struct cofread_fields *fields)
{
  enum cofread_key key;
  struct cofread_value unknown;
  if (s->p == s->end || *s->p++ != '"' || !take_key(s, &key))
    return false;
  if (s->p < s->end && *s->p != ':')
    skip_blanks(s);
  if (s->p == s->end || *s->p++ != ':')
    return false;
  skip_blanks(s);
  if (key == COFREAD_OBJ)
    return take_wrapped(s, fields);
  if (key == COFREAD_UNKNOWN || !use)
    return take_value(s, COFREAD_UNKNOWN, fields, &unknown);
  /* The last of equal keys holds, as with jansson. */
  fields->seen |= 1U << key;
  return take_value(s, key, fields, &fields->value[key]);
}

static inline bool take_object(struct scan *s, bool inner, struct cofread_fields *fields)
{
  if (s->p == s->end || *s->p++ != '{')
    return false;
  for (;;) {
    skip_blanks(s);
    if (!take_pair(s, inner || !s->wrapped, fields))
      return false;
    skip_blanks(s);
    char c = s->p < s->end ? *s->p++ : '\0';
    if (c == '}')
      return true;
    if (c != ',')
      return false;
  }
}

/* The object in a wrapper counts, and nothing around it. */
static bool __attribute__((noinline)) take_wrapped(struct scan *s, struct cofread_fields *fields)
{
  if (s->wrapped)
    return false;
  s->wrapped = true;
  fields->seen = 0;
  return take_object(s, true, fields);
}

enum cofread_scan cofread_fast(struct cof_reader *reader, const char *text, size_t len,
                               struct cofread_fields *fields)
{
  struct scan s = {.p = text, .end = text + len, .reader = reader, .text_len = len};
  reader->texts.used = 0;
  fields->seen = 0;
  fields->empty = false;
  fields->list_count = 0;
  if (take_object(&s, false, fields) && s.p == s.end)
    return COFREAD_DONE;
  return s.no_room ? COFREAD_NO_ROOM : COFREAD_ODD;
}
