"""Write the C source of the binding: `build.py OUTPUT.c`. CMake compiles it (API mode, stable ABI)."""

from __future__ import annotations

import sys

from cffi import FFI

DECLARATIONS = """
struct bpf_object; struct bpf_program; struct bpf_map; struct bpf_link; struct btf;

struct bpf_object *bpf_object__open(const char *path);
int bpf_object__load(struct bpf_object *obj);
void bpf_object__close(struct bpf_object *obj);
struct btf *bpf_object__btf(const struct bpf_object *obj);
const void *btf__raw_data(const struct btf *btf, uint32_t *size);

struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj, const char *name);
int bpf_program__fd(const struct bpf_program *prog);
int bpf_program__set_autoload(struct bpf_program *prog, bool autoload);
int bpf_program__set_expected_attach_type(struct bpf_program *prog, int type);

struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name);
int bpf_map__fd(const struct bpf_map *map);
uint32_t bpf_map__max_entries(const struct bpf_map *map);
int bpf_map__set_max_entries(struct bpf_map *map, uint32_t max_entries);
uint32_t bpf_map__key_size(const struct bpf_map *map);
uint32_t bpf_map__value_size(const struct bpf_map *map);
void *bpf_map__initial_value(struct bpf_map *map, size_t *size);

int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags);
int bpf_map_lookup_elem(int fd, const void *key, void *value);
int bpf_map_delete_elem(int fd, const void *key);
int bpf_map_get_next_key(int fd, const void *key, void *next_key);
int libbpf_num_possible_cpus(void);

struct bpf_prog_load_opts { size_t sz; uint32_t log_level; uint32_t log_size; char *log_buf; ...; };
int bpf_prog_load(int type, const char *name, const char *license, const void *code, size_t instructions,
                  const struct bpf_prog_load_opts *opts);
struct bpf_test_run_opts { size_t sz; const void *data_in; uint32_t data_size_in; uint32_t retval; ...; };
int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts);
int bpf_map_create(int type, const char *name, uint32_t key_size, uint32_t value_size, uint32_t max_entries,
                   const void *opts);
struct btf *btf__load_vmlinux_btf(void);
void btf__free(struct btf *btf);
const char *libbpf_version_string(void);

int bpf_raw_tracepoint_open(const char *name, int prog_fd);
int bpf_iter_create(int link_fd);
struct bpf_link *bpf_program__attach_cgroup(const struct bpf_program *prog, int cgroup_fd);
int bpf_link__destroy(struct bpf_link *link);

#define PELLUCID_TRACE_UPROBE_MULTI ...
int uprobe_multi(int prog_fd, const char *path, const unsigned long *offsets, const uint64_t *cookies,
                 uint32_t count, uint32_t pid, bool at_return);
bool has_uprobe_multi(void);
struct bpf_link *uprobe(struct bpf_program *prog, const char *path, unsigned long offset, uint64_t cookie,
                        int pid, bool at_return);
int iterator(int prog_fd, uint32_t tid);
int tcx(int prog_fd, int ifindex, bool egress);
bool wait_for_programs(void);
void log_collect(void);
const char *log_take(void);

struct drain;
struct drain *drain_start(int map_fd, size_t ring_size, size_t capacity, uint16_t object);
struct drain *drain_packets(int map_fd, size_t ring_size, size_t capacity, uint16_t object, uint32_t packet);
int drain_ready_fd(const struct drain *d);
const uint8_t *drain_take(struct drain *d, int settle, size_t *size);
uint64_t drain_produced(const struct drain *d);
uint64_t drain_taken(const struct drain *d);
void drain_stop(struct drain *d);
void return_memory_early(void);

int clsact_add(int ifindex);
int clsact_remove(int ifindex);
int filter_add(int ifindex, bool egress, int prog_fd, uint32_t handle);
int filter_remove(int ifindex, bool egress, uint32_t handle);

struct watch;
struct watch *watch_start(void);
int watch_ready_fd(const struct watch *w);
size_t watch_take(struct watch *w, uint8_t *into, size_t room);
void watch_stop(struct watch *w);

int end_after(int parent, long microseconds);
"""

ffi = FFI()
ffi.cdef(DECLARATIONS)
ffi.set_source(
    "pellucid.libbpf._native",
    '#include <bpf/bpf.h>\n#include <bpf/btf.h>\n#include "drain.h"\n#include "kernel.h"\n#include "orphan.h"\n#include "packets.h"\n#include "tc.h"\n#include "watch.h"\n',
)

if __name__ == "__main__":
    ffi.emit_c_code(sys.argv[1])
