/* An element's place in a blocked layout is a sum of one offset for each of its indices. So a
   table for each dimension says where everything is, whatever the blocks. */
#include "dnn/reorder.h"
#include "base/memory.h"
#include "base/status.h"
#include "dnn/internal.h"
#include "tensor/bf16.h"
#include <string.h>

enum {
    DIMENSIONS = 4, /* fewer get leading ones */
    PIECE = 16      /* indices of each dimension at a time: what is read and written stays near */
};

/* One dimension: where its indices are on both sides, in elements. */
typedef struct axis {
    int64_t size;
    int64_t *from, *to;
} axis;

struct jem__reorder {
    axis axes[DIMENSIONS]; /* the last is the one with the nearest neighbours in the destination */
    int32_t from_type, to_type;
    int64_t bytes; /* of the destination if it has padding; else 0 */
};

static int64_t place(const jem__blocking *m, int dimension, int64_t index)
{
    int64_t offset = 0, step = 1;
    for (int k = m->inner - 1; k >= 0; k--) {
        if (m->block_dims[k] == dimension) {
            offset += index % m->blocks[k] * step;
            index /= m->blocks[k];
        }
        step *= m->blocks[k];
    }
    return offset + index * m->strides[dimension];
}

static int64_t distance(const axis *a)
{
    return a->size > 1 ? a->to[1] : INT64_MAX;
}

static void sort(axis *axes)
{
    for (int i = 1; i < DIMENSIONS; i++)
        for (int j = i; j > 0 && distance(&axes[j]) > distance(&axes[j - 1]); j--) {
            axis a = axes[j];
            axes[j] = axes[j - 1];
            axes[j - 1] = a;
        }
}

static jem_status fill(jem__reorder *r, const jem__blocking *from, const jem__blocking *to)
{
    for (int i = 0; i < DIMENSIONS; i++) {
        axis *a = &r->axes[i];
        int dimension = i - (DIMENSIONS - from->ndims);
        a->size = dimension < 0 ? 1 : from->dims[dimension];
        JEM__TRY(jem__calloc(&a->from, a->size, sizeof *a->from));
        JEM__TRY(jem__calloc(&a->to, a->size, sizeof *a->to));
        if (dimension < 0) continue;
        for (int64_t j = 0; j < a->size; j++) {
            a->from[j] = place(from, dimension, j);
            a->to[j] = place(to, dimension, j);
        }
    }
    sort(r->axes);
    return JEM_OK;
}

jem_status jem__reorder_create(jem__reorder **out, const jem__layout *from, const jem__layout *to)
{
    jem__reorder *r = NULL;
    jem__blocking a, b;
    *out = NULL;
    if (!jem__md_blocking((jem__md)from, &a) || !jem__md_blocking((jem__md)to, &b) ||
        a.ndims > DIMENSIONS || a.ndims != b.ndims)
        return jem__fail(JEM_ERROR_BACKEND, "oneDNN: reorder: not a blocked layout");
    JEM__TRY(jem__calloc(&r, 1, sizeof *r));
    r->from_type = jem__layout_type(from);
    r->to_type = jem__layout_type(to);
    jem_status status = fill(r, &a, &b);
    if (status) {
        jem__reorder_destroy(r);
        return status;
    }
    int64_t elements = 1;
    for (int i = 0; i < DIMENSIONS; i++) elements *= r->axes[i].size;
    int64_t bytes = jem__layout_bytes(to);
    r->bytes = elements * jem__type_size(r->to_type) < bytes ? bytes : 0;
    *out = r;
    return JEM_OK;
}

void jem__reorder_destroy(jem__reorder *r)
{
    if (!r) return;
    for (int i = 0; i < DIMENSIONS; i++) {
        jem__free(r->axes[i].from);
        jem__free(r->axes[i].to);
    }
    jem__free(r);
}

/* Indices first..end-1 of each axis. */
typedef struct piece {
    int64_t first[DIMENSIONS], end[DIMENSIONS];
} piece;

#define COPY(name, source, destination, convert)                                                   \
    static void name(const jem__reorder *r, const piece *p, const void *from, void *to)            \
    {                                                                                              \
        const axis *a = r->axes;                                                                   \
        for (int64_t i = p->first[0]; i < p->end[0]; i++)                                          \
            for (int64_t j = p->first[1]; j < p->end[1]; j++)                                      \
                for (int64_t k = p->first[2]; k < p->end[2]; k++) {                                \
                    const source *x =                                                              \
                        (const source *)from + a[0].from[i] + a[1].from[j] + a[2].from[k];         \
                    const int64_t y = a[0].to[i] + a[1].to[j] + a[2].to[k];                        \
                    const int64_t *at_x = a[3].from, *at_y = a[3].to;                              \
                    for (int64_t l = p->first[3]; l < p->end[3]; l++)                              \
                        ((destination *)to)[y + at_y[l]] = convert(x[at_x[l]]);                    \
                }                                                                                  \
    }

COPY(copy_f32, float, float, )
COPY(copy_bf16, uint16_t, uint16_t, )
COPY(narrow, float, uint16_t, jem__bf16_round)
COPY(widen, uint16_t, float, jem__bf16_value)

void jem__reorder_run(const jem__reorder *r, const void *from, void *to)
{
    void (*copy)(const jem__reorder *, const piece *, const void *, void *) =
        r->from_type == JEM__BF16 ? r->to_type == JEM__BF16 ? copy_bf16 : widen
        : r->to_type == JEM__BF16 ? narrow
                                  : copy_f32;
    if (r->bytes) memset(to, 0, (size_t)r->bytes);
    int64_t count[DIMENSIONS], pieces = 1;
    for (int i = 0; i < DIMENSIONS; i++) {
        count[i] = (r->axes[i].size + PIECE - 1) / PIECE;
        pieces *= count[i];
    }
    for (int64_t n = 0; n < pieces; n++) {
        piece p;
        int64_t rest = n;
        for (int i = DIMENSIONS - 1; i >= 0; i--) {
            p.first[i] = rest % count[i] * PIECE;
            p.end[i] = p.first[i] + PIECE < r->axes[i].size ? p.first[i] + PIECE : r->axes[i].size;
            rest /= count[i];
        }
        copy(r, &p, from, to);
    }
}
