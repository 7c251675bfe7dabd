/* Memory of a compilation: allocated in blocks, freed whole. Each block has twice the size of the one before, up to large pages, of
 * which the system hands out a few in less time than many small ones. */
#define _DEFAULT_SOURCE /* madvise */
#include "gdlc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FIRST_BLOCK = 64 * 1024, LARGE_PAGE = 2 * 1024 * 1024, ALIGNMENT = 8 };

typedef struct Block {
    struct Block *next;
    size_t used, size;
    void *room; /* where what the system gave begins; NULL: it is the C library's */
    _Alignas(ALIGNMENT) unsigned char bytes[];
} Block;

struct Arena {
    Block *blocks; /* the first is the one being filled */
};

static void *not_null(void *memory)
{
    if (memory == NULL) {
        fputs("gdlc: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void *allocate(size_t size) { return not_null(calloc(1, size)); }

/* From the system, which gives zeros. Of twice its size, what is not on the large page is never touched, and so is no memory. */
static Block *page_create(void)
{
    unsigned char *room = mmap(NULL, 2 * LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    not_null(room == MAP_FAILED ? NULL : room);
    Block *block = (Block *)(void *)(room + (LARGE_PAGE - (uintptr_t)room % LARGE_PAGE));
#ifdef MADV_HUGEPAGE
    madvise(block, LARGE_PAGE, MADV_HUGEPAGE); /* where it cannot, nothing is lost */
#endif
    block->size = LARGE_PAGE - sizeof *block;
    block->room = room;
    return block;
}

static Block *block_create(size_t size)
{
    Block *block = allocate(sizeof *block + size);
    block->size = size;
    return block;
}

Arena *arena_create(void)
{
    Arena *arena = allocate(sizeof *arena);
    arena->blocks = block_create(FIRST_BLOCK);
    return arena;
}

void arena_destroy(Arena *arena)
{
    for (Block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (block->room)
            munmap(block->room, 2 * LARGE_PAGE);
        else
            free(block);
    }
    free(arena);
}

/* Large pieces get a block of their own behind the first, which stays the one being filled. */
static void *alloc_large(Arena *arena, size_t size)
{
    Block *block = block_create(size);
    block->next = arena->blocks->next;
    arena->blocks->next = block;
    return block->bytes;
}

void *arena_alloc(Arena *arena, size_t size)
{
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > FIRST_BLOCK / 4)
        return alloc_large(arena, size);
    Block *block = arena->blocks;
    if (block->size - block->used < size) {
        block = 4 * block->size > LARGE_PAGE ? page_create() : block_create(2 * block->size);
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

char *arena_copy(Arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (length > 0)
        memcpy(copy, text, length);
    return copy;
}

char *arena_printf(Arena *arena, const char *format, ...)
{
    char first[256]; /* long enough for nearly all, which are then printed once */
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const size_t length = (size_t)vsnprintf(first, sizeof first, format, arguments);
    va_end(arguments);
    char *text = arena_alloc(arena, length + 1);
    if (length < sizeof first)
        memcpy(text, first, length);
    else
        vsnprintf(text, length + 1, format, again);
    va_end(again);
    return text;
}

void *arena_grow(Arena *arena, void *items, int count, int *capacity, size_t size)
{
    *capacity = *capacity == 0 ? 4 : *capacity * 2;
    void *grown = arena_alloc(arena, (size_t)*capacity * size);
    if (count > 0)
        memcpy(grown, items, (size_t)count * size);
    return grown;
}
