/* Draws symbols: strokes are deformed, placed, and rendered by distance. Uses
   only + - * / and sqrt, so that every machine makes the same images. */
#include "data/glyphs.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "data/strokes.h"
#include "tensor/kernels.h"
#include <math.h>
#include <string.h>

enum {
    FIELD = 4,     /* knots a side of the deformation */
    LATTICE = 4,   /* knots a side of the background texture */
    PIECES = 5,    /* straight pieces of a curve between two points */
    PER_TASK = 16, /* images */
    STYLE_STEP = 0,
    PIXEL_STEP = 1 /* addresses of an image's numbers */
};

typedef struct point {
    float x, y;
} point;

/* Everything random about an image but its pixel noise. Lengths in pixels. */
typedef struct style {
    point field[FIELD][FIELD];    /* deformation, in grid units */
    float xx, xy, yx, yy, x0, y0; /* grid to pixels */
    float radius, soft;           /* half the pen's width; width of its edge */
    float paper[3], ink[3];       /* 0..1 */
    float texture[LATTICE][LATTICE];
    float noise; /* sigma */
} style;

/* The least squared distance to a stroke so far, pixel by pixel. */
typedef struct canvas {
    int64_t size;
    float *square;
    float *noise; /* [channels,size,size] */
} canvas;

static float between(jem__random *r, float low, float high)
{
    return low + (high - low) * jem__random_uniform(r);
}

/* ---- Style ---- */

static void choose_place(style *s, jem__random *r, float unit)
{
    float scale = between(r, 0.72f, 1) * unit * 0.1f; /* 100 grid units are 10 of 28 pixels */
    float wide = scale * between(r, 0.85f, 1.15f), slant = between(r, -0.25f, 0.25f);
    /* Half-angle tangent of a rotation by at most 12 degrees. */
    float t = between(r, -0.105f, 0.105f), c = (1 - t * t) / (1 + t * t), d = 2 * t / (1 + t * t);
    s->xx = c * wide;
    s->xy = (-c * slant - d) * scale;
    s->yx = d * wide;
    s->yy = (c - d * slant) * scale;
    s->x0 = 14 * unit + between(r, -3.4f, 3.4f) * unit;
    s->y0 = 14 * unit + between(r, -3.4f, 3.4f) * unit;
}

/* Light on dark; ink and paper stay at least 0.4 apart. */
static void choose_colours(style *s, jem__random *r, int64_t channels)
{
    float paper = between(r, 0, 0.25f), ink = between(r, 0.72f, 1), tint = channels == 3 ? 0.2f : 0;
    for (int c = 0; c < 3; c++) {
        float p = paper + tint * between(r, 0, 1), i = ink - tint * between(r, 0, 1);
        s->paper[c] = p;
        s->ink[c] = i;
    }
    float rough = between(r, 0, 0.12f);
    for (int i = 0; i < LATTICE; i++)
        for (int j = 0; j < LATTICE; j++) s->texture[i][j] = rough * between(r, -0.5f, 0.5f);
    s->noise = between(r, 0, 0.05f);
}

static void choose_style(style *s, jem__random *r, const jem__glyph_set *set)
{
    float unit = (float)set->size / 28;
    for (int i = 0; i < FIELD; i++)
        for (int j = 0; j < FIELD; j++)
            s->field[i][j] = (point){between(r, -11, 11), between(r, -14, 14)};
    choose_place(s, r, unit);
    s->radius = between(r, 0.85f, 1.7f) * unit;
    s->soft = between(r, 0.9f, 1.8f) * (unit > 1 ? unit : 1);
    choose_colours(s, r, set->channels);
}

/* ---- Strokes to pixels ---- */

/* Lowers the squared distances around the line a-b. Beyond reach they do not
   matter. */
static void draw_line(canvas *v, point a, point b, float reach)
{
    float ex = b.x - a.x, ey = b.y - a.y, length = ex * ex + ey * ey;
    float inverse = length > 1e-6f ? 1 / length : 0, most = (float)v->size;
    float left = (a.x < b.x ? a.x : b.x) - reach, right = (a.x > b.x ? a.x : b.x) + reach;
    float top = (a.y < b.y ? a.y : b.y) - reach, bottom = (a.y > b.y ? a.y : b.y) + reach;
    if (!(left < most && top < most && right > 0 && bottom > 0)) return;
    int32_t x0 = left > 0 ? (int32_t)left : 0, y0 = top > 0 ? (int32_t)top : 0;
    int32_t x1 = right < most ? (int32_t)right + 1 : (int32_t)v->size;
    int32_t y1 = bottom < most ? (int32_t)bottom + 1 : (int32_t)v->size;
    for (int32_t y = y0; y < y1; y++) {
        float *row = v->square + y * v->size, py = (float)y + 0.5f - a.y;
        for (int32_t x = x0; x < x1; x++) {
            float px = (float)x + 0.5f - a.x, t = (px * ex + py * ey) * inverse;
            t = t < 0 ? 0 : t;
            t = t > 1 ? 1 : t;
            float dx = px - t * ex, dy = py - t * ey, d = dx * dx + dy * dy;
            row[x] = d < row[x] ? d : row[x];
        }
    }
}

/* A grid point: deformed by the field (linear between its knots), then placed. */
static point place(const style *s, float x, float y)
{
    float u = (x + 66) * ((FIELD - 1) / 132.0f), v = (y + 106) * ((FIELD - 1) / 212.0f);
    int i = (int)v, j = (int)u;
    i = i < 0 ? 0 : i > FIELD - 2 ? FIELD - 2 : i;
    j = j < 0 ? 0 : j > FIELD - 2 ? FIELD - 2 : j;
    u -= (float)j;
    v -= (float)i;
    const point *p = &s->field[i][j], *q = &s->field[i + 1][j];
    x += (1 - v) * ((1 - u) * p[0].x + u * p[1].x) + v * ((1 - u) * q[0].x + u * q[1].x);
    y += (1 - v) * ((1 - u) * p[0].y + u * p[1].y) + v * ((1 - u) * q[0].y + u * q[1].y);
    return (point){s->x0 + s->xx * x + s->xy * y, s->y0 + s->yx * x + s->yy * y};
}

/* Catmull-Rom: the curve from b to c, with neighbours a and d. */
static point curve(point a, point b, point c, point d, float t)
{
    float t2 = t * t, t3 = t2 * t;
    float wa = -0.5f * t3 + t2 - 0.5f * t, wb = 1.5f * t3 - 2.5f * t2 + 1;
    float wc = -1.5f * t3 + 2 * t2 + 0.5f * t, wd = 0.5f * t3 - 0.5f * t2;
    return (point){wa * a.x + wb * b.x + wc * c.x + wd * d.x,
                   wa * a.y + wb * b.y + wc * c.y + wd * d.y};
}

static void draw_stroke(canvas *v, const style *s, const jem__stroke *stroke)
{
    point p[JEM__STROKE_POINTS + 3]; /* one before, two after */
    int n = stroke->points, loop = stroke->kind == JEM__STROKE_LOOP;
    float reach = s->radius + s->soft;
    for (int64_t i = 0; i < n; i++) p[i + 1] = place(s, stroke->at[2 * i], stroke->at[2 * i + 1]);
    p[0] = loop ? p[n] : p[1];
    p[n + 1] = loop ? p[1] : p[n];
    p[n + 2] = loop ? p[2] : p[n];
    for (int i = 1; i < n + loop; i++) {
        point from = p[i];
        int pieces = stroke->kind == JEM__STROKE_LINE ? 1 : PIECES;
        for (int k = 1; k <= pieces; k++) {
            point to = k == pieces ? p[i + 1]
                                   : curve(p[i - 1], p[i], p[i + 1], p[i + 2], (float)k / PIECES);
            draw_line(v, from, to, reach);
            from = to;
        }
    }
}

/* ---- Pixels ---- */

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

/* The texture at row y, for each column. */
static void texture_row(const style *s, int64_t size, int64_t y, float *row)
{
    float step = (LATTICE - 1) / (float)size, v = ((float)y + 0.5f) * step;
    int i = (int)v;
    float knots[LATTICE], w = smooth(v - (float)i);
    for (int j = 0; j < LATTICE; j++)
        knots[j] = (1 - w) * s->texture[i][j] + w * s->texture[i + 1][j];
    for (int64_t x = 0; x < size; x++) {
        float u = ((float)x + 0.5f) * step;
        int j = (int)u;
        float t = smooth(u - (float)j);
        row[x] = knots[j] + t * (knots[j + 1] - knots[j]);
    }
}

static uint8_t to_byte(float v)
{
    v = v * 255 + 0.5f;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static void fill_pixels(const canvas *v, const style *s, int64_t channels, uint8_t *pixels)
{
    int64_t area = v->size * v->size;
    float row[1024], inverse = 1 / s->soft, edge = s->radius + 0.5f * s->soft;
    for (int64_t y = 0; y < v->size; y++) {
        texture_row(s, v->size, y, row);
        for (int64_t x = 0; x < v->size; x++) {
            int64_t at = y * v->size + x;
            float cover = (edge - sqrtf(v->square[at])) * inverse;
            cover = smooth(cover < 0 ? 0 : cover > 1 ? 1 : cover);
            for (int64_t c = 0; c < channels; c++) {
                float paper = s->paper[c] + row[x];
                float value = paper + cover * (s->ink[c] - paper);
                pixels[c * area + at] = to_byte(value + s->noise * v->noise[c * area + at]);
            }
        }
    }
}

static const jem__symbol *symbols(int32_t kind)
{
    return kind == JEM__GLYPHS_LETTERS ? jem__letters : jem__digits;
}

int64_t jem__glyphs_classes(int32_t kind)
{
    return kind == JEM__GLYPHS_NOISE     ? 1
           : kind == JEM__GLYPHS_LETTERS ? jem__letter_count
                                         : jem__digit_count;
}

const char *jem__glyphs_name(int32_t kind, int64_t k)
{
    return symbols(kind)[k].name;
}

static void address(jem__random *r, const jem__glyph_set *set, int64_t image, uint32_t step)
{
    jem__random_at(r, set->seed, JEM__RANDOM_GLYPH, 2 * (uint64_t)set->kind + (uint64_t)set->test,
                   (uint64_t)image, step);
}

static void draw_image(canvas *v, const jem__glyph_set *set, int64_t image, uint8_t *pixels,
                       int32_t *label)
{
    style s;
    jem__random r;
    int64_t area = set->size * set->size;
    address(&r, set, image, STYLE_STEP);
    *label = (int32_t)jem__random_below(&r, (uint32_t)jem__glyphs_classes(set->kind));
    const jem__symbol *symbol = &symbols(set->kind)[*label];
    const jem__glyph *glyph = &symbol->variant[jem__random_below(&r, (uint32_t)symbol->variants)];
    choose_style(&s, &r, set);
    for (int64_t i = 0; i < area; i++) v->square[i] = 1e30f;
    for (int i = 0; i < glyph->strokes; i++) draw_stroke(v, &s, &glyph->stroke[i]);
    address(&r, set, image, PIXEL_STEP);
    jem__kernels_here()->fill_normal(&r, v->noise, set->channels * area);
    fill_pixels(v, &s, set->channels, pixels);
}

static void draw_noise(const jem__glyph_set *set, int64_t image, uint8_t *pixels, int32_t *label)
{
    jem__random r;
    address(&r, set, image, PIXEL_STEP);
    *label = 0;
    for (int64_t i = 0; i < set->channels * set->size * set->size; i++)
        pixels[i] = (uint8_t)(jem__random_u32(&r) >> 24);
}

/* ---- The set ---- */

typedef struct work {
    const jem__glyph_set *set;
    int64_t n;
    uint8_t *pixels;
    int32_t *labels;
} work;

static jem_status draw_some(void *user, int64_t index, int64_t worker)
{
    const work *w = user;
    int64_t image = w->set->channels * w->set->size * w->set->size, end = (index + 1) * PER_TASK;
    canvas v = {.size = w->set->size};
    JEM__TRY(jem__alloc(&v.square, w->set->size * w->set->size + image, sizeof *v.square));
    v.noise = v.square + w->set->size * w->set->size;
    for (int64_t i = index * PER_TASK; i < w->n && i < end; i++) {
        if (w->set->kind == JEM__GLYPHS_NOISE)
            draw_noise(w->set, i, w->pixels + i * image, w->labels + i);
        else
            draw_image(&v, w->set, i, w->pixels + i * image, w->labels + i);
    }
    jem__free(v.square);
    return JEM_OK;
}

jem_status jem__glyphs_draw(jem__pool *pool, const jem__glyph_set *set, int64_t n, uint8_t *pixels,
                            int32_t *labels)
{
    work w = {.set = set, .n = n, .pixels = pixels, .labels = labels};
    return jem__pool_run(pool, (n + PER_TASK - 1) / PER_TASK, draw_some, &w);
}
