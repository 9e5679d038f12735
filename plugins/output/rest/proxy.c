/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proxy_private.h"

#include <string.h>
#include <strings.h>

/* A part of a header. */
struct part {
  const char *at;
  size_t len;
};

static bool is_blank(char c)
{
  return c == ' ' || c == '\t';
}

static struct part strip(struct part p)
{
  while (p.len > 0 && is_blank(*p.at)) {
    p.at++;
    p.len--;
  }
  while (p.len > 0 && is_blank(p.at[p.len - 1]))
    p.len--;
  return p;
}

/* Whether the quote at `i` is one of the text, written with a backslash. */
static bool is_escaped(const char *text, size_t i)
{
  size_t slashes = 0;
  while (slashes < i && text[i - 1 - slashes] == '\\')
    slashes++;
  return slashes % 2 != 0;
}

/* What stands behind the last separator that is outside quotes, where there are any; `p` keeps what
   is before it. It is read from the end, which proxies that are trusted wrote: a quote that the
   client opened before must not reach into it. */
static struct part take_last(struct part *p, char separator, bool quotes)
{
  bool quoted = false;
  size_t i = p->len;
  for (; i > 0; i--) {
    if (quotes && p->at[i - 1] == '"' && !is_escaped(p->at, i - 1))
      quoted = !quoted;
    else if (!quoted && p->at[i - 1] == separator)
      break;
  }
  struct part last = {p->at + i, p->len - i};
  p->len = i > 0 ? i - 1 : 0;
  return strip(last);
}

static struct part unquote(struct part p)
{
  if (p.len >= 2 && p.at[0] == '"' && p.at[p.len - 1] == '"')
    return (struct part){p.at + 1, p.len - 2};
  return p;
}

/* The value of `for` in an element of Forwarded. */
static struct part forwarded_for(struct part element)
{
  while (element.len > 0) {
    struct part pair = take_last(&element, ';', true);
    if (pair.len > 4 && strncasecmp(pair.at, "for=", 4) == 0)
      return unquote((struct part){pair.at + 4, pair.len - 4});
  }
  return (struct part){"", 0};
}

/* Nothing, or a colon and a port, which may be a name that hides it. */
static bool is_port(const char *text, size_t len)
{
  static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (len == 0)
    return true;
  for (size_t i = 1; i < len; i++)
    if (text[i] == '\0' || strchr(good, text[i]) == NULL)
      return false;
  return *text == ':' && len > 1;
}

/* `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80` */
static bool node_address(struct part node, struct cof_addr *out)
{
  if (node.len > 0 && node.at[0] == '[') {
    const char *end = memchr(node.at, ']', node.len);
    return end != NULL && is_port(end + 1, (size_t)(node.at + node.len - end) - 1) &&
           cof_addr_parse(node.at + 1, (size_t)(end - node.at) - 1, out);
  }
  if (cof_addr_parse(node.at, node.len, out))
    return true;
  const char *colon = memchr(node.at, ':', node.len);
  return colon != NULL && is_port(colon, (size_t)(node.at + node.len - colon)) &&
         cof_addr_parse(node.at, (size_t)(colon - node.at), out);
}

void proxy_client(const char *text, bool forwarded, const struct acl *trusted,
                  struct cof_addr *addr)
{
  struct part rest = {text, strlen(text)};
  while (rest.len > 0 && acl_has(trusted, addr)) {
    struct part node = take_last(&rest, ',', forwarded);
    struct cof_addr found;
    if (forwarded)
      node = forwarded_for(node);
    if (!node_address(node, &found))
      return;
    addr_unmap(&found);
    *addr = found;
  }
}
