/* Pooling over windows: a part of activations.c, whose load, store and LANES it uses. */
#ifndef JEM__TENSOR_WINDOWS_PARTS_H
#define JEM__TENSOR_WINDOWS_PARTS_H

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The places from..to of window o, of a row or a column, that lie on the image. */
static void places(const jem__windows *w, int64_t o, int64_t size, int64_t range[2])
{
    int64_t at = o * w->stride - w->pad;
    range[0] = at < 0 ? -at : 0;
    range[1] = smaller(w->kernel, size - at);
}

/* The windows from..to that pixel i of a row or a column lies in. */
static void windows_of(const jem__windows *w, int64_t i, int64_t count, int64_t range[2])
{
    int64_t at = i + w->pad, low = at - w->kernel + 1;
    range[0] = low > 0 ? (low + w->stride - 1) / w->stride : 0;
    range[1] = smaller(count, at / w->stride + 1);
}

/* ---- One window (i, j) of up to LANES channels; x is the image's, b apart ---- */

static void max_of(const jem__windows *w, int64_t i, int64_t j, const jem__real *x, int64_t b,
                   int64_t lanes, jem__real *y, uint8_t *index)
{
    float best[LANES] = {0};
    uint8_t place[LANES] = {0}, first = 1;
    int64_t h[2], v[2];
    places(w, i, w->ih, h);
    places(w, j, w->iw, v);
    for (int64_t a = h[0]; a < h[1]; a++)
        for (int64_t e = v[0]; e < v[1]; e++, first = 0) {
            int64_t row = i * w->stride - w->pad + a, column = j * w->stride - w->pad + e;
            const jem__real *at = x + (row * w->iw + column) * b;
            uint8_t this = (uint8_t)(a * w->kernel + e);
            for (int64_t c = 0; c < lanes; c++) {
                float value = load(at[c]);
                int take = first | (value > best[c]) | (value != value); /* NaN stays */
                best[c] = take ? value : best[c];
                place[c] = take ? this : place[c];
            }
        }
    for (int64_t c = 0; c < lanes; c++) y[c] = store(best[c]);
    for (int64_t c = 0; index && c < lanes; c++) index[c] = place[c];
}

static void average_of(const jem__windows *w, int64_t i, int64_t j, const jem__real *x, int64_t b,
                       int64_t lanes, jem__real *y)
{
    float sum[LANES] = {0}, area = (float)(w->kernel * w->kernel);
    int64_t h[2], v[2];
    places(w, i, w->ih, h);
    places(w, j, w->iw, v);
    for (int64_t a = h[0]; a < h[1]; a++)
        for (int64_t e = v[0]; e < v[1]; e++) {
            int64_t row = i * w->stride - w->pad + a, column = j * w->stride - w->pad + e;
            const jem__real *at = x + (row * w->iw + column) * b;
            for (int64_t c = 0; c < lanes; c++) sum[c] += load(at[c]);
        }
    for (int64_t c = 0; c < lanes; c++) y[c] = store(sum[c] / area);
}

/* Pixel (i, j) gathers from the windows that it lies in, so that sums have one order:
   from those whose largest it is, or with index NULL its share of each. */
static void gather(const jem__windows *w, int64_t i, int64_t j, const jem__real *dy,
                   const uint8_t *index, int64_t b, int64_t lanes, jem__real *dx)
{
    float sum[LANES] = {0}, area = index ? 1 : (float)(w->kernel * w->kernel);
    int64_t h[2], v[2];
    windows_of(w, i, w->oh, h);
    windows_of(w, j, w->ow, v);
    for (int64_t a = h[0]; a < h[1]; a++)
        for (int64_t e = v[0]; e < v[1]; e++) {
            int64_t at = (a * w->ow + e) * b, row = i + w->pad - a * w->stride;
            int64_t place = row * w->kernel + j + w->pad - e * w->stride;
            if (index)
                for (int64_t c = 0; c < lanes; c++)
                    sum[c] += index[at + c] == (uint8_t)place ? load(dy[at + c]) : 0;
            else
                for (int64_t c = 0; c < lanes; c++) sum[c] += load(dy[at + c]);
        }
    for (int64_t c = 0; c < lanes; c++) dx[c] = store(sum[c] / area);
}

/* ---- All of them ---- */

static void max_pool(const jem__blocked *m, const jem__windows *w, const jem__real *x, jem__real *y,
                     uint8_t *index)
{
    int64_t in = w->ih * w->iw * m->b, out = w->oh * w->ow;
    for (int64_t k = 0; k < m->n * blocks(m); k++, x += in)
        for (int64_t o = 0; o < out; o++, y += m->b) {
            for (int64_t c = 0; c < m->b; c += LANES)
                max_of(w, o / w->ow, o % w->ow, x + c, m->b, smaller(LANES, m->b - c), y + c,
                       index ? index + c : NULL);
            if (index) index += m->b; /* NULL + 0 is undefined, too */
        }
}

static void average_pool(const jem__blocked *m, const jem__windows *w, const jem__real *x,
                         jem__real *y)
{
    int64_t in = w->ih * w->iw * m->b, out = w->oh * w->ow;
    for (int64_t k = 0; k < m->n * blocks(m); k++, x += in)
        for (int64_t o = 0; o < out; o++, y += m->b)
            for (int64_t c = 0; c < m->b; c += LANES)
                average_of(w, o / w->ow, o % w->ow, x + c, m->b, smaller(LANES, m->b - c), y + c);
}

static void pool_back(const jem__blocked *m, const jem__windows *w, const jem__real *dy,
                      const uint8_t *index, jem__real *dx)
{
    int64_t in = w->ih * w->iw, out = w->oh * w->ow * m->b;
    for (int64_t k = 0; k < m->n * blocks(m); k++, dy += out) {
        for (int64_t i = 0; i < in; i++, dx += m->b)
            for (int64_t c = 0; c < m->b; c += LANES)
                gather(w, i / w->iw, i % w->iw, dy + c, index ? index + c : NULL, m->b,
                       smaller(LANES, m->b - c), dx + c);
        if (index) index += out;
    }
}

#endif
