/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Temporary directories for tests. Every failure ends the test.
 */
#ifndef COFD_TESTS_SUPPORT_PRIVATE_H
#define COFD_TESTS_SUPPORT_PRIVATE_H

/** Make an empty directory; returns its path, for support_remove(). */
char *support_directory(void);

/** Remove a directory with all that is in it, and free its path. */
void support_remove(char *directory);

/** Write a file in a directory, making the folders of `name`; returns its path, to be freed. */
char *support_file(const char *directory, const char *name, const char *text);

/** Put the test plugin of that object name (`plain`) into a directory as `name` (`storage/x.so`).
 */
void support_plugin(const char *directory, const char *object, const char *name);

/** A directory with the good plugins of all four kinds: feed, sieve, plain, api. */
char *support_plugins(void);

#endif
