/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>

#include <string.h>

/* Labels of a canonical name. An escape is a backslash and what is no dot and no backslash of its
   own, so that stepping over one octet behind it is enough. */
static unsigned count_labels(const char *name, size_t len)
{
  unsigned count = 1;
  if (len == 0 || (len == 1 && name[0] == '.'))
    return 0;
  for (size_t i = 0; i < len; i++) {
    if (name[i] == '\\')
      i++;
    else if (name[i] == '.')
      count++;
  }
  return count;
}

uint32_t cof_zones_all(const char *name, size_t len)
{
  unsigned labels = count_labels(name, len);
  return labels >= COF_ZONE_LABELS_MAX ? UINT32_MAX : (UINT32_C(2) << labels) - 1;
}

uint32_t cof_zone_bit(const char *name, size_t len, const char *zone, size_t zone_len)
{
  if (!cof_name_under(name, len, zone, zone_len))
    return 0;
  unsigned labels = count_labels(zone, zone_len);
  return labels <= COF_ZONE_LABELS_MAX ? UINT32_C(1) << labels : 0;
}

const char *cof_zone_deepest(const char *name, size_t len, uint32_t zones, size_t *zone_len)
{
  zones &= cof_zones_all(name, len);
  *zone_len = 1;
  if (zones <= 1)
    return zones == 1 ? "." : NULL;
  unsigned deepest = 31 - (unsigned)__builtin_clz(zones);
  unsigned skip = count_labels(name, len) - deepest;
  size_t i = 0;
  for (; skip > 0; i++) {
    if (name[i] == '\\')
      i++;
    else if (name[i] == '.')
      skip--;
  }
  *zone_len = len - i;
  return name + i;
}
