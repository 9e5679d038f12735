/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "privileges_private.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log_private.h"

/* A user with the group that is to be its first. */
struct who {
  uid_t uid;
  gid_t gid;
};

/* --- who ------------------------------------------------------------------------------------ */

static enum cof_result find(const char *user, const char *group, struct who *who,
                            const char **option, struct cof_error *err)
{
  *option = "user";
  errno = 0;
  const struct passwd *passwd = getpwnam(user);
  if (passwd == NULL)
    return cof_fail(err, COF_REJECT, "%.64s: %s; expected the name of a user, which %s", user,
                    errno != 0 ? strerror(errno) : "there is no such user",
                    "adduser --system --group makes");
  *who = (struct who){passwd->pw_uid, passwd->pw_gid};
  if (who->uid == 0)
    return cof_fail(err, COF_REJECT, "%.64s is root; expected a user of its own", user);
  *option = "group";
  errno = 0;
  const struct group *found = group != NULL ? getgrnam(group) : NULL;
  if (group != NULL && found == NULL)
    return cof_fail(err, COF_REJECT, "%.64s: %s; expected the name of a group", group,
                    errno != 0 ? strerror(errno) : "there is no such group");
  if (found != NULL)
    who->gid = found->gr_gid;
  if (who->gid == 0)
    return cof_fail(err, COF_REJECT, "%.64s is the group of root; expected another one",
                    group != NULL ? group : user);
  return COF_OK;
}

enum cof_result privileges_check(const char *user, const char *group, const char **option,
                                 struct cof_error *err)
{
  struct who who;
  *option = "group";
  if (user == NULL && group != NULL)
    return cof_fail(err, COF_REJECT, "needs a user");
  return user != NULL ? find(user, group, &who, option, err) : COF_OK;
}

bool privileges_root(void)
{
  return geteuid() == 0;
}

/* --- the first step --------------------------------------------------------------------------- */

static enum cof_result failed(struct cof_error *err, const char *what)
{
  return cof_fail(err, COF_REJECT, "%s: %s", what, strerror(errno));
}

/* Leave this thread, and those that it will make, no capability but that of binding low ports. */
static bool keep_ports_only(void)
{
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, data) != 0)
    return false;
  uint32_t kept = data[0].permitted & (UINT32_C(1) << CAP_NET_BIND_SERVICE);
  memset(data, 0, sizeof data);
  data[0].permitted = data[0].effective = kept;
  return syscall(SYS_capset, &header, data) == 0;
}

static bool is_now(const struct who *who, uid_t saved)
{
  uid_t r, e, s;
  gid_t rg, eg, sg;
  return getresuid(&r, &e, &s) == 0 && getresgid(&rg, &eg, &sg) == 0 && r == who->uid &&
         e == who->uid && s == saved && rg == who->gid && eg == who->gid && sg == who->gid;
}

/* Groups first: after the user they could not be changed any more. */
static enum cof_result become(const char *user, const struct who *who, bool ports,
                              struct cof_error *err)
{
  uid_t saved = ports ? 0 : who->uid;
  if (initgroups(user, who->gid) != 0)
    return failed(err, "initgroups");
  if (setresgid(who->gid, who->gid, who->gid) != 0)
    return failed(err, "setresgid");
  /* Nothing that this process might run gains anything from a set-user-ID bit. */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return failed(err, "no_new_privs");
  /* With root as the saved user the permitted capabilities stay, though none is in effect. */
  if (setresuid(who->uid, who->uid, saved) != 0)
    return failed(err, "setresuid");
  if (ports && !keep_ports_only())
    return failed(err, "capset");
  if (!is_now(who, saved))
    return cof_fail(err, COF_REJECT, "the change of user did not take effect");
  if (!ports && setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
    return cof_fail(err, COF_REJECT, "root could be had again");
  return COF_OK;
}

enum cof_result privileges_begin(const char *user, const char *group, bool ports,
                                 struct cof_error *err)
{
  struct who who;
  struct cof_error why;
  const char *option;
  enum cof_result result = user != NULL ? find(user, group, &who, &option, &why)
                                        : privileges_check(NULL, group, &option, &why);
  if (user == NULL && result == COF_OK)
    return COF_OK;
  if (result != COF_OK)
    return cof_fail(err, result, "%s: %s", option, why.text);
  if (privileges_root())
    result = become(user, &who, ports, &why);
  else if (!is_now(&who, who.uid))
    return cof_fail(err, COF_REJECT,
                    "user: %.64s is another user or group than the one that started cofd (uid %lu, "
                    "gid %lu), and only root can change; expected a start by root or by that user",
                    user, (unsigned long)geteuid(), (unsigned long)getegid());
  if (result == COF_OK)
    log_write("cofd", COF_LOG_DEBUG, "runs as %s", user);
  return result == COF_OK
             ? COF_OK
             : cof_fail(err, result, "user: cofd cannot become %.64s: %s", user, why.text);
}

/* --- the second step -------------------------------------------------------------------------- */

bool privileges_end(void)
{
  uid_t r, e, s;
  if (getresuid(&r, &e, &s) != 0 || e == 0 || s != 0)
    return true;
  /* The C library does it in all threads; with root gone the kernel clears the capabilities. */
  if (setresuid(e, e, e) != 0) {
    log_write("cofd", COF_LOG_ERROR, "user: cannot give up root: %s", strerror(errno));
    return false;
  }
  if (getresuid(&r, &e, &s) != 0 || r == 0 || e == 0 || s == 0 ||
      setresuid((uid_t)-1, 0, (uid_t)-1) == 0) {
    log_write("cofd", COF_LOG_ERROR, "user: root could be had again after it was given up");
    return false;
  }
  return true;
}

/* --- messages ------------------------------------------------------------------------------- */

/* Name of a user or group, or its number. */
static const char *user_text(uid_t uid, char out[64])
{
  const struct passwd *passwd = getpwuid(uid);
  if (passwd != NULL)
    snprintf(out, 64, "%.63s", passwd->pw_name);
  else
    snprintf(out, 64, "uid %lu", (unsigned long)uid);
  return out;
}

const char *privileges_blame(const char *path, int error, char out[PRIVILEGES_BLAME_MAX])
{
  char place[256], owner[64], self[64];
  struct stat st;
  out[0] = '\0';
  if ((error != EACCES && error != EPERM) || strlen(path) >= sizeof place)
    return out;
  strcpy(place, path);
  while (stat(place, &st) != 0) {
    char *slash = strrchr(place, '/');
    if (slash == NULL || slash == place)
      return out;
    *slash = '\0';
  }
  snprintf(out, PRIVILEGES_BLAME_MAX, "; %s belongs to %s (mode %04o), and cofd runs as %s", place,
           user_text(st.st_uid, owner), (unsigned)(st.st_mode & 07777), user_text(geteuid(), self));
  return out;
}
