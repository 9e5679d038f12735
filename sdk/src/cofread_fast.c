/* SPDX-License-Identifier: MIT */
#include "cofread_private.h"

#if defined(__SSE2__) && !defined(COFREAD_NO_SIMD)
#include <emmintrin.h>
#define SIMD 1
#else
#define SIMD 0
#endif

#define MAX_DIGITS 18 /* whatever they are, they fit 63 bits */

/* What a scan knows besides its place. That is handed from function to function, as `p`, so that it
   stays in a register: each takes what begins at p, and returns what follows, or NULL where it
   finds something odd.

   The text ends in the brace of its object, and what is taken below that may end in no brace, so
   that p stays before end, and needs no look at it, until that brace itself is taken. */
struct scan {
  const char *end;
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

static inline const char *skip_blanks(const char *p)
{
  /* One blank or none, mostly. */
  p += *p == ' ';
  while (__builtin_expect((unsigned char)*p <= ' ', 0)) {
    if (*p != ' ' && *p != '\t' && *p != '\n' && *p != '\r')
      break;
    p++;
  }
  return p;
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

/* A string with escapes, the first of them at `q`. All unescaped strings together are shorter than
   the text, so room for that much lets them stay where they are. */
static const char *__attribute__((noinline))
take_escaped(struct scan *s, const char *p, const char *q, struct cofread_value *v)
{
  struct cofread_buffer *texts = &s->reader->texts;
  if (!cofread_reserve(texts, s->text_len)) {
    s->no_room = true;
    return NULL;
  }
  char *start = (char *)texts->bytes + texts->used, *out = start;
  for (;; q = find_special(p, s->end)) {
    memcpy(out, p, (size_t)(q - p));
    out += q - p;
    if (q < s->end && *q == '"')
      break;
    if (s->end - q < 2 || *q != '\\')
      return NULL;
    char c = unescaped(q[1]);
    if (c == '\0')
      return NULL;
    *out++ = c;
    p = q + 2;
  }
  *v = (struct cofread_value){.text = start, .len = (size_t)(out - start), .kind = COFREAD_TEXT};
  texts->used += v->len;
  return q + 1;
}

/* After the opening quote. */
static inline const char *take_string(struct scan *s, const char *p, struct cofread_value *v)
{
  const char *q = find_special(p, s->end);
  if (__builtin_expect(q == s->end || *q != '"', 0))
    return take_escaped(s, p, q, v);
  v->text = p;
  v->len = (size_t)(q - p);
  v->kind = COFREAD_TEXT;
  return q + 1;
}

/* `.5`: only so many digits as have the same whole part when read as a double, as jansson would. */
static const char *__attribute__((noinline))
take_fraction(const char *p, size_t whole_digits, struct cofread_value *v)
{
  const char *start = ++p;
  bool zero = true;
  for (; *p >= '0' && *p <= '9'; p++)
    zero = zero && *p == '0';
  if (p == start || p - start > 6 || whole_digits > 10)
    return NULL;
  if (!zero)
    v->kind = COFREAD_FRACTION;
  return p;
}

/* Eight digits at once: neighbours are joined to pairs, pairs to fours, fours to the number. The
   first digit is the lowest octet, so a factor adds the higher part above the lower one. */
static inline bool eight_digits(const char *p, uint64_t *out)
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
  *out = (x * (UINT64_C(10000) << 32 | 1)) >> 32;
  return true;
#else
  (void)p;
  (void)out;
  return false;
#endif
}

static inline const char *take_number(const struct scan *s, const char *p, struct cofread_value *v)
{
  const char *start = p;
  uint64_t n = 0; /* goes round where there are too many */
  if (s->end - p >= 8 && eight_digits(p, &n))
    p += 8;
  for (; (unsigned char)(*p - '0') <= 9; p++)
    n = n * 10 + (unsigned char)(*p - '0');
  size_t count = (size_t)(p - start);
  if (count - 1 >= MAX_DIGITS || (*start == '0' && count > 1))
    return NULL;
  v->integer = (int64_t)n;
  v->len = 0;
  v->kind = COFREAD_INTEGER;
  if (__builtin_expect(*p == '.', 0))
    return take_fraction(p, count, v);
  /* An exponent is not among what may follow, and so is left to jansson. */
  return p;
}

static const char *take_word(const struct scan *s, const char *p, const char *word, size_t len,
                             enum cofread_kind kind, struct cofread_value *v)
{
  if ((size_t)(s->end - p) < len || memcmp(p, word, len) != 0)
    return NULL;
  v->kind = kind;
  v->len = 0;
  return p + len;
}

/* An array of strings, the only one that means something. */
static const char *__attribute__((noinline))
take_list(struct scan *s, const char *p, struct cofread_fields *fields)
{
  struct cofread_buffer *list = &s->reader->list;
  p = skip_blanks(p + 1);
  if (*p == ']')
    return p + 1;
  for (size_t n = 0;; n++) {
    if (!cofread_reserve(list, (n + 1) * sizeof(struct cofread_value))) {
      s->no_room = true;
      return NULL;
    }
    struct cofread_value *values = list->bytes;
    if (*p != '"' || (p = take_string(s, p + 1, &values[n])) == NULL)
      return NULL;
    p = skip_blanks(p);
    fields->list = values;
    fields->list_count = n + 1;
    if (*p == ']')
      return p + 1;
    if (*p != ',')
      return NULL;
    p = skip_blanks(p + 1);
  }
}

/* `list`: whether an array means something here. */
static inline const char *take_value(struct scan *s, const char *p, bool list,
                                     struct cofread_fields *fields, struct cofread_value *v)
{
  switch (*p) {
  case '"':
    return take_string(s, p + 1, v);
  case '[':
    v->kind = COFREAD_LIST;
    v->len = 0;
    return list ? take_list(s, p, fields) : NULL;
  case 't':
    return take_word(s, p, "true", 4, COFREAD_OTHER, v);
  case 'f':
    return take_word(s, p, "false", 5, COFREAD_OTHER, v);
  case 'n':
    return take_word(s, p, "null", 4, COFREAD_NULL, v);
  default:
    return take_number(s, p, v);
  }
}

static const char *__attribute__((noinline))
take_other_key(struct scan *s, const char *p, enum cofread_key *key)
{
  struct cofread_value v;
  p = take_string(s, p, &v);
  if (p != NULL)
    *key = cofread_key_of(v.text, v.len);
  return p;
}

/* Take a key that is `literal`, with its closing quote. */
#define TAKE_IF(literal, name)                                                                     \
  if (memcmp(p, literal "\"", sizeof literal "\"" - 1) == 0) {                                     \
    *key = name;                                                                                   \
    return p + sizeof literal "\"" - 1;                                                            \
  }
#define USUAL_MAX (sizeof "time_first\"" - 1) /* the longest below */

/* After the opening quote. The usual keys are told by comparing, the others by looking for their
   end. */
static inline const char *take_key(struct scan *s, const char *p, enum cofread_key *key)
{
  if ((size_t)(s->end - p) >= USUAL_MAX) {
    TAKE_IF("rrname", COFREAD_RRNAME)
    TAKE_IF("rrtype", COFREAD_RRTYPE)
    TAKE_IF("rdata", COFREAD_RDATA)
    TAKE_IF("time_first", COFREAD_TIME_FIRST)
    TAKE_IF("time_last", COFREAD_TIME_LAST)
    TAKE_IF("count", COFREAD_COUNT)
    TAKE_IF("sensor_id", COFREAD_SENSOR_ID)
  }
  return take_other_key(s, p, key);
}

static const char *take_wrapped(struct scan *s, const char *p, struct cofread_fields *fields);

/* `use`: whether known keys mean something here. */
static inline const char *take_pair(struct scan *s, const char *p, bool use,
                                    struct cofread_fields *fields)
{
  enum cofread_key key;
  if (*p != '"' || (p = take_key(s, p + 1, &key)) == NULL)
    return NULL;
  if (*p != ':')
    p = skip_blanks(p);
  if (*p != ':')
    return NULL;
  p = skip_blanks(p + 1);
  if (key == COFREAD_OBJ)
    return take_wrapped(s, p, fields);
  struct cofread_value unknown, *v = &unknown;
  if (key != COFREAD_UNKNOWN && use) {
    /* The last of equal keys holds, as with jansson. */
    fields->seen |= 1U << key;
    v = &fields->value[key];
  }
  return take_value(s, p, v != &unknown && key == COFREAD_RDATA, fields, v);
}

static inline const char *take_object(struct scan *s, const char *p, bool inner,
                                      struct cofread_fields *fields)
{
  if (*p != '{')
    return NULL;
  do {
    p = take_pair(s, skip_blanks(p + 1), inner || !s->wrapped, fields);
    if (p == NULL)
      return NULL;
    p = skip_blanks(p);
  } while (*p == ',');
  return *p == '}' ? p + 1 : NULL;
}

/* The object in a wrapper counts, and nothing around it. Its brace is not the last. */
static const char *__attribute__((noinline))
take_wrapped(struct scan *s, const char *p, struct cofread_fields *fields)
{
  if (s->wrapped)
    return NULL;
  s->wrapped = true;
  fields->seen = 0;
  p = take_object(s, p, true, fields);
  return p != s->end ? p : NULL;
}

enum cofread_scan cofread_fast(struct cof_reader *reader, const char *text, size_t len,
                               struct cofread_fields *fields)
{
  struct scan s = {.end = text + len, .reader = reader, .text_len = len};
  reader->texts.used = 0;
  fields->seen = 0;
  fields->empty = false;
  fields->list_count = 0;
  if (text[len - 1] == '}' && take_object(&s, text, false, fields) == s.end)
    return COFREAD_DONE;
  return s.no_room ? COFREAD_NO_ROOM : COFREAD_ODD;
}
