// What clang makes of records: the structs that src/pellucid/model declares, and types on their way.
// They are typed here again so that these tests hold whatever bpf/record.h says.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;

#define SEC(name) __attribute__((section(name), used))
#define TAG(type) __builtin_btf_type_id(*(type *)0, 0) // bpf_core_type_id_local

struct head {
	u32 type;
	u32 size;
	u64 time;
};

struct process {
	struct head head;
	u64 start;
	u32 pid;
	u16 size;
	u16 executable;
	u8 names[];
};

struct gone {
	struct head head;
	u32 pid;
};

struct opened {
	struct head head;
	u64 connection;
	u32 target;
	u32 pid;
	u32 tid;
	u32 uid;
	u16 family;
	u16 local_port;
	u16 remote_port;
	u16 version;
	u16 cipher;
	u8 role;
	u8 mid;
	u8 local[16];
	u8 remote[16];
	char comm[16];
	u16 server_name;
	u8 names[];
};

enum direction { READ, WRITE };

struct data {
	struct head head;
	u64 connection;
	u64 offset;
	u32 tid;
	u8 direction;
	u8 bytes[];
};

struct missed {
	struct head head;
	u64 connection;
	u64 offset;
	u64 size;
	u8 direction;
	u8 reason;
};

struct closed {
	struct head head;
	u64 connection;
	u64 read;
	u64 written;
};

struct prompted {
	struct head head;
	u32 pid;
	s32 status;
	u8 more;
};

struct line {
	struct head head;
	u32 pid;
	u32 ppid;
	u32 uid;
	u8 shell;
	u8 kind;
	char comm[16];
	char tty[64];
	u8 directory[];
};

struct typed {
	struct head head;
	u32 pid;
	u32 offset;
	u8 last;
	u8 bytes[];
};

struct left {
	struct head head;
	u32 pid;
	s32 status;
	u8 replaced;
};

struct keyed {
	struct head head;
	u64 flow;
};

struct secret {
	struct head head;
	u64 object;
	u32 target;
	u32 pid, tid, uid;
	u8 label;
	u8 mid;
	char comm[16];
	u8 random[32];
	u8 bytes[];
};

struct established {
	struct head head;
	u64 object;
	u32 target;
	u32 pid, tid, uid;
	u16 cipher;
	char comm[16];
	u8 random[32];
	u8 bytes[];
};

struct ran {
	struct head head;
	u64 sp;
	u64 start;
	u32 pid;
	u32 ppid;
	u32 uid;
	u32 depth;
	s32 lineno;
	u8 shell;
	u8 waits;
	u16 script_at;
	char comm[16];
	char tty[64];
	u8 directory[];
};

struct words {
	struct head head;
	u64 sp;
	u32 pid;
	u8 text;
	u8 open;
	u8 last;
	u8 bytes[];
};

struct finished {
	struct head head;
	u64 sp;
	u32 pid;
	s32 status;
};

typedef const volatile u16 port;
typedef signed char bytes4[4];

struct point {
	struct {
		enum direction direction;
		_Bool flag;
	};
	port ports[2];
	struct {
		signed long long x;
		bytes4 y;
	} at;
	char name[3];
	char letter;
	short rest[];
};

struct with_pointer {
	u32 first;
	void *refused;
};
struct with_union {
	u32 first;
	union {
		u32 a;
		u64 b;
	} refused;
};
struct with_bits {
	u32 first;
	u32 refused : 3;
};
struct with_float {
	u32 first;
	double refused;
};
struct with_structs {
	u32 first;
	struct head refused[2];
};
struct with_grid {
	u32 first;
	u8 refused[2][2];
};
struct with_nothing {
	u32 first;
	struct {
	} refused;
};

struct with_pointer with_pointer;
struct with_union with_union;
struct with_bits with_bits;
struct with_float with_float;
struct with_structs with_structs;
struct with_grid with_grid;
struct with_nothing with_nothing;
struct point point;

const volatile u32 only_pid SEC(".rodata");
const volatile _Bool verbose SEC(".rodata");
const volatile u64 cgroups[8] SEC(".rodata");
const volatile struct head start SEC(".rodata");

u64 tags[] SEC(".data");
u64 tags[16];

SEC("uprobe")
int emit(void *context)
{
	tags[0] = TAG(struct opened);
	tags[1] = TAG(struct data);
	tags[2] = TAG(struct missed);
	tags[3] = TAG(struct closed);
	tags[4] = TAG(struct process);
	tags[5] = TAG(struct gone);
	tags[6] = TAG(struct prompted);
	tags[7] = TAG(struct line);
	tags[8] = TAG(struct typed);
	tags[9] = TAG(struct left);
	tags[10] = TAG(struct ran);
	tags[11] = TAG(struct words);
	tags[12] = TAG(struct finished);
	tags[13] = TAG(struct secret);
	tags[14] = TAG(struct established);
	tags[15] = TAG(struct keyed);
	return only_pid;
}
