/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "options_private.h"

#include "keys_private.h"
#include "value_private.h"

#define BLOCK_SIZE       ((size_t)16 * 1024)
#define FILE_SIZE        ((uint64_t)64 * 1024 * 1024)
#define FILTER_BITS      10.0
#define OPEN_FILES       512
#define INFO_LOG_FILES   2
#define INFO_LOG_HEADER  5
#define COMPACT_AT_FILES 12
#define ZSTD_LEVEL       3
#define LEVELS           7 /* RocksDB's own number of them */

static char *prefix_transform(void *state, const char *key, size_t len, size_t *prefix_len)
{
  (void)state;
  *prefix_len = key_prefix((const uint8_t *)key, len);
  return (char *)(uintptr_t)key;
}

static unsigned char prefix_in_domain(void *state, const char *key, size_t len)
{
  (void)state;
  return key_prefix((const uint8_t *)key, len) != 0;
}

static unsigned char prefix_in_range(void *state, const char *prefix, size_t len)
{
  (void)state;
  return key_prefix((const uint8_t *)prefix, len) == len;
}

static const char *prefix_name(void *state)
{
  (void)state;
  return "cofd.1";
}

static void prefix_destroy(void *state)
{
  (void)state;
}

/* `parts`: with index and filter in pieces that are read as they are wanted. */
static void set_tables(rocksdb_options_t *options, rocksdb_cache_t *cache,
                       rocksdb_filterpolicy_t *filter, bool parts)
{
  rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
  rocksdb_block_based_options_set_block_size(t, BLOCK_SIZE);
  rocksdb_block_based_options_set_format_version(t, 5);
  rocksdb_block_based_options_set_filter_policy(t, filter);
  rocksdb_block_based_options_set_whole_key_filtering(t, 0);
  /* Indexes and filters count as cache, so that memory stays bounded however much is stored. */
  rocksdb_block_based_options_set_block_cache(t, cache);
  rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
  rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
  rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
  rocksdb_block_based_options_set_pin_top_level_index_and_filter(t, 1);
  if (parts)
    rocksdb_block_based_options_set_index_type(
        t, rocksdb_block_based_table_index_type_two_level_index_search);
  rocksdb_block_based_options_set_partition_filters(t, parts);
  rocksdb_options_set_block_based_table_factory(options, t);
  rocksdb_block_based_options_destroy(t);
}

static rocksdb_options_t *common(const struct conf *conf, rocksdb_cache_t *cache,
                                 rocksdb_filterpolicy_t *filter, bool parts)
{
  rocksdb_options_t *o = rocksdb_options_create();
  rocksdb_options_set_merge_operator(o, value_merge_operator());
  rocksdb_options_set_prefix_extractor(
      o, rocksdb_slicetransform_create(NULL, prefix_destroy, prefix_transform, prefix_in_domain,
                                       prefix_in_range, prefix_name));
  set_tables(o, cache, filter, parts);
  rocksdb_options_set_compression(o, conf->compression == CONF_LZ4 ? rocksdb_lz4_compression
                                                                   : rocksdb_no_compression);
  return o;
}

/* What has just come is compacted soon, and there are few such files: they are not compressed. All
   that compaction writes is. */
static void compress_settled(rocksdb_options_t *o)
{
  int levels[LEVELS];
  for (size_t i = 0; i < LEVELS; i++)
    levels[i] = i == 0 ? rocksdb_no_compression : rocksdb_lz4_compression;
  rocksdb_options_set_compression_per_level(o, levels, LEVELS);
  rocksdb_options_set_bottommost_compression(o, rocksdb_zstd_compression);
  rocksdb_options_set_bottommost_compression_options(o, -14, ZSTD_LEVEL, 0, 0, 1);
}

/* Compaction can wait, and takes what files have gathered meanwhile at once; ingest and queries
   cannot. The threads are those of all databases of the process. */
static void lower_compaction(void)
{
  rocksdb_env_t *env = rocksdb_create_default_env();
  rocksdb_env_lower_thread_pool_cpu_priority(env);
  rocksdb_env_destroy(env);
}

rocksdb_options_t *options_database(const struct conf *conf, rocksdb_cache_t *cache)
{
  rocksdb_options_t *o =
      common(conf, cache, rocksdb_filterpolicy_create_ribbon_hybrid(FILTER_BITS, 1), true);
  lower_compaction();
  rocksdb_options_set_create_if_missing(o, 1);
  rocksdb_options_set_write_buffer_size(o, (size_t)conf->write_buffer);
  rocksdb_options_set_max_write_buffer_number(o, 2);
  rocksdb_options_set_max_open_files(o, OPEN_FILES);
  rocksdb_options_set_max_background_jobs(o, 2);
  /* Who asks last of a file that compaction replaced does not also delete it. */
  rocksdb_options_set_avoid_unnecessary_blocking_io(o, 1);
  rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
  rocksdb_options_set_level0_file_num_compaction_trigger(o, COMPACT_AT_FILES);
  rocksdb_options_set_level0_slowdown_writes_trigger(o, OPTIONS_MOST_FILES);
  rocksdb_options_set_level0_stop_writes_trigger(o, 2 * OPTIONS_MOST_FILES);
  rocksdb_options_set_target_file_size_base(o, FILE_SIZE);
  rocksdb_options_set_bytes_per_sync(o, 1024 * 1024);
  rocksdb_options_set_keep_log_file_num(o, INFO_LOG_FILES);
  /* Its settings at opening alone: a RocksDB with assertions compiled in, as Debian's is, ends the
     process at the second line that a full disk refuses. */
  rocksdb_options_set_info_log_level(o, INFO_LOG_HEADER);
  if (conf->compression == CONF_ZSTD)
    compress_settled(o);
  return o;
}

/* Files that are ingested mostly live until the next compaction: cheap filters, and compressed only
   where all is to be by LZ4. Every question looks into each, which takes less time where index and
   filter are in one piece. */
rocksdb_options_t *options_sst(const struct conf *conf, rocksdb_cache_t *cache, bool settled)
{
  rocksdb_options_t *o =
      common(conf, cache, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS), false);
  if (settled && conf->compression == CONF_ZSTD)
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
  return o;
}
