/* Values lie in grids: pixels row by row, with a border of zeros, the channels of each together.
   Floats have `channels` numbers per pixel, bits whole words of 64. Activations of several bits have
   a plane for each bit, the lowest first, one after the other. */
struct grid {
    void *at;
    int size, border, channels, bytes, planes; /* bytes per pixel of a plane */
};

/* A conv. Weights are [block of 32 output channels][element of the window][32]. */
struct conv {
    int kernel, stride, padding, out_size, blocks, pooled;
    const void *weights;
    const unsigned char *classes; /* class of position of each row and column of the output */
    int class_count;
    const void *thresholds; /* [threshold][class][channel], int32_t of sums or float */
    int threshold_count;    /* of the binarizer */
    const uint32_t *flips;
    double step; /* sum = step * d + lows[class][channel] */
    const double *lows;
    const float *scale, *multiplier, *offset; /* per channel; no batch norm: NULL */
};

static inline unsigned char *pixel(const struct grid *g, int y, int x) {
    const int row = (y + g->border) * (g->size + 2 * g->border);
    return (unsigned char *)g->at + (size_t)(row + x + g->border) * (size_t)g->bytes;
}

static inline size_t plane_bytes(const struct grid *g) {
    const size_t side = (size_t)(g->size + 2 * g->border);
    return side * side * (size_t)g->bytes;
}

static inline struct grid plane_of(const struct grid *g, int plane) {
    struct grid one = *g;
    one.at = (unsigned char *)g->at + (size_t)plane * plane_bytes(g);
    one.planes = 1;
    return one;
}

static void clear(const struct grid *g) {
    memset(g->at, 0, plane_bytes(g) * (size_t)g->planes);
}

/* A tile: 4 windows x 32 output channels. The last tile may repeat the last window. */
struct tile {
    const void *window[4];
    int y[4], x[4], out_y[4], out_x[4], class_[4], index;
};

static int tiles_of(const struct conv *c) {
    const int half = c->out_size / 2, pixels = c->out_size * c->out_size;
    return c->pooled ? half * half : (pixels + 3) / 4;
}

static void tile_at(struct tile *t, const struct conv *c, const struct grid *in, int index) {
    for (int i = 0; i < 4; i++) {
        if (c->pooled) {
            t->out_y[i] = index / (c->out_size / 2);
            t->out_x[i] = index % (c->out_size / 2);
            t->y[i] = 2 * t->out_y[i] + i / 2;
            t->x[i] = 2 * t->out_x[i] + i % 2;
        } else {
            const int last = c->out_size * c->out_size - 1, p = 4 * index + i;
            t->out_y[i] = t->y[i] = (p < last ? p : last) / c->out_size;
            t->out_x[i] = t->x[i] = (p < last ? p : last) % c->out_size;
        }
        t->window[i] = pixel(in, t->y[i] * c->stride - c->padding, t->x[i] * c->stride - c->padding);
        t->class_[i] = 0;
        if (c->classes) t->class_[i] = c->classes[t->y[i]] * c->class_count + c->classes[t->x[i]];
    }
    t->index = index;
}

/* Four windows by two vectors of channels, which stay in registers. */
#define EACH(DO) DO(0, 0) DO(0, 1) DO(1, 0) DO(1, 1) DO(2, 0) DO(2, 1) DO(3, 0) DO(3, 1)

static void count_tile(const struct tile *t, int rows, int run, size_t row, const uint64_t *weights,
                       uint64_t counts[4][32]) {
    for (int first = 0; first < 32; first += 2 * BITS_LANES) {
        const uint64_t *w = weights + first;
#define DECLARE(i, j) bits_t total##i##j = bits_zero(), some##i##j = bits_zero();
        EACH(DECLARE)
        int steps = 0;
        for (int y = 0; y < rows; y++) {
            const uint64_t *a0 = (const uint64_t *)t->window[0] + (size_t)y * row;
            const uint64_t *a1 = (const uint64_t *)t->window[1] + (size_t)y * row;
            const uint64_t *a2 = (const uint64_t *)t->window[2] + (size_t)y * row;
            const uint64_t *a3 = (const uint64_t *)t->window[3] + (size_t)y * row;
            for (int k = 0; k < run; k++, w += 32) {
                const bits_t w0 = bits_load(w), w1 = bits_load(w + BITS_LANES);
                const bits_t x0 = bits_splat(a0[k]), x1 = bits_splat(a1[k]);
                const bits_t x2 = bits_splat(a2[k]), x3 = bits_splat(a3[k]);
#define COUNT(i, j) some##i##j = bits_plus(some##i##j, bits_count(x##i, w##j));
                EACH(COUNT)
                if (++steps == BITS_STEPS) {
#define FLUSH(i, j) \
    total##i##j = bits_sums(total##i##j, bits_sum(some##i##j)), some##i##j = bits_zero();
                    EACH(FLUSH)
                    steps = 0;
                }
            }
        }
        EACH(FLUSH)
#define STORE(i, j) bits_store(&counts[i][first + j * BITS_LANES], total##i##j);
        EACH(STORE)
    }
}

static void sum_tile(const struct tile *t, int rows, int run, size_t row, const float *weights,
                     float sums[4][32]) {
    for (int first = 0; first < 32; first += 2 * FLOAT_LANES) {
        const float *w = weights + first;
#define DECLARE_FLOAT(i, j) float_t_ sum##i##j = float_zero();
        EACH(DECLARE_FLOAT)
        for (int y = 0; y < rows; y++) {
            const float *a0 = (const float *)t->window[0] + (size_t)y * row;
            const float *a1 = (const float *)t->window[1] + (size_t)y * row;
            const float *a2 = (const float *)t->window[2] + (size_t)y * row;
            const float *a3 = (const float *)t->window[3] + (size_t)y * row;
            for (int k = 0; k < run; k++, w += 32) {
                const float_t_ w0 = float_load(w), w1 = float_load(w + FLOAT_LANES);
                const float_t_ x0 = float_splat(a0[k]), x1 = float_splat(a1[k]);
                const float_t_ x2 = float_splat(a2[k]), x3 = float_splat(a3[k]);
#define MULTIPLY(i, j) sum##i##j = float_fma(x##i, w##j, sum##i##j);
                EACH(MULTIPLY)
            }
        }
#define STORE_FLOAT(i, j) float_store(&sums[i][first + j * FLOAT_LANES], sum##i##j);
        EACH(STORE_FLOAT)
    }
}

/* The ones of each window, 4 per tile. */
static void count_windows(const struct conv *c, const struct grid *in, int32_t *ones) {
    const int words = in->bytes / 8, run = c->kernel * words;
    const size_t row = (size_t)(in->size + 2 * in->border) * (size_t)words;
    for (int i = 0; i < tiles_of(c); i++) {
        struct tile t;
        tile_at(&t, c, in, i);
        for (int j = 0; j < 4; j++) {
            uint64_t total = 0;
            for (int y = 0; y < c->kernel; y++)
                for (int k = 0; k < run; k++)
                    total += ones_of(((const uint64_t *)t.window[j])[(size_t)y * row + (size_t)k]);
            ones[4 * i + j] = (int32_t)total;
        }
    }
}

/* Changes the digits of each window where its sum passes a threshold. */
static void add_digits(const struct conv *c, int block, unsigned char above[4][32],
                       uint32_t digits[4]) {
    for (int i = 0; i < 4; i++) {
        uint32_t mask = 0;
        if (c->pooled)
            for (int o = 0; o < 32; o++)
                above[i][o] = above[0][o] | above[1][o] | above[2][o] | above[3][o];
        for (int o = 0; o < 32; o++) mask |= (uint32_t)above[i][o] << o;
        digits[i] ^= mask ^ c->flips[block];
        if (c->pooled) return;
    }
}

static void put_digits(const struct conv *c, const struct grid *out, const struct tile *t,
                       int block, const uint32_t digits[4]) {
    for (int i = 0; i < (c->pooled ? 1 : 4); i++) {
        uint64_t *word = (uint64_t *)(void *)pixel(out, t->out_y[i], t->out_x[i]) + block / 2;
        const int shift = 32 * (block % 2);
        *word = (*word & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)digits[i] << shift;
    }
}

/* The planes of a tile: the binary digits of how many thresholds each sum passes. Passed thresholds
   are the first ones, so digit p is 1 where an odd number of the thresholds 2^p, 2 * 2^p, 3 * 2^p,
   ... is passed. Sums are int32_t or float, as thresholds are. */
#define PUT_PLANES(TYPE)                                                                         \
    for (int plane = 0; plane < out->planes; plane++) {                                          \
        const struct grid digit = plane_of(out, plane);                                          \
        uint32_t digits[4] = {0, 0, 0, 0};                                                       \
        for (int passed = 1 << plane; passed <= c->threshold_count; passed += 1 << plane) {      \
            unsigned char above[4][32];                                                          \
            for (int j = 0; j < 4; j++) {                                                        \
                const int row = (passed - 1) * c->class_count * c->class_count + t.class_[j];    \
                const TYPE *limits = (const TYPE *)c->thresholds + 32 * (row * c->blocks + block); \
                for (int o = 0; o < 32; o++) above[j][o] = sums[j][o] > limits[o];               \
            }                                                                                    \
            add_digits(c, block, above, digits);                                                 \
        }                                                                                        \
        put_digits(c, &digit, &t, block, digits);                                                \
    }

static void put_floats(const struct conv *c, const struct grid *out, const struct grid *other,
                       const struct tile *t, int block, float sums[4][32]) {
    const int first = 32 * block, n = out->channels - first < 32 ? out->channels - first : 32;
    const float *restrict scale = c->scale + first;
    for (int i = 0; i < 4; i++) {
        float *restrict to = (float *)(void *)pixel(out, t->out_y[i], t->out_x[i]) + first;
        for (int o = 0; o < n; o++) to[o] = sums[i][o] * scale[o];
        if (c->multiplier) {
            const float *restrict multiplier = c->multiplier + first;
            const float *restrict offset = c->offset + first;
            for (int o = 0; o < n; o++)
                to[o] = (float)((double)to[o] * (double)multiplier[o] + (double)offset[o]);
        }
        if (other) {
            const float *restrict more = (float *)(void *)pixel(other, t->out_y[i], t->out_x[i]) + first;
            for (int o = 0; o < n; o++) to[o] += more[o];
        }
    }
}

static void conv_bits(const struct conv *c, const struct grid *in, const struct grid *out,
                      const struct grid *other, int32_t *ones) {
    const int words = in->bytes / 8, run = c->kernel * words;
    const size_t row = (size_t)(in->size + 2 * in->border) * (size_t)words;
    const int windows = 4 * tiles_of(c);
    for (int p = 0; p < in->planes; p++) {
        const struct grid plane = plane_of(in, p);
        count_windows(c, &plane, ones + p * windows);
    }
    clear(out);
    for (int block = 0; block < c->blocks; block++) {
        const uint64_t *weights = (const uint64_t *)c->weights + (size_t)block * 32 * (size_t)(c->kernel * run);
        for (int i = 0; i < tiles_of(c); i++) {
            struct tile t;
            int32_t sums[4][32] = {{0}};
            for (int p = in->planes; p-- > 0;) { /* each plane counts twice the one below */
                const struct grid plane = plane_of(in, p);
                uint64_t counts[4][32];
                tile_at(&t, c, &plane, i);
                count_tile(&t, c->kernel, run, row, weights, counts);
                for (int j = 0; j < 4; j++)
                    for (int o = 0; o < 32; o++)
                        sums[j][o] = 2 * (sums[j][o] + (int32_t)counts[j][o]) -
                                     ones[p * windows + 4 * i + j];
            }
            if (c->thresholds) {
                PUT_PLANES(int32_t)
            } else {
                float scaled[4][32];
                for (int j = 0; j < 4; j++) {
                    const double *lows = c->lows + 32 * (t.class_[j] * c->blocks + block);
                    for (int o = 0; o < 32; o++)
                        scaled[j][o] = (float)(c->step * sums[j][o] + lows[o]);
                }
                put_floats(c, out, other, &t, block, scaled);
            }
        }
    }
}

static void conv_floats(const struct conv *c, const struct grid *in, const struct grid *out,
                        const struct grid *other) {
    const int run = c->kernel * in->channels;
    const size_t row = (size_t)(in->size + 2 * in->border) * (size_t)in->channels;
    clear(out);
    for (int block = 0; block < c->blocks; block++) {
        const float *weights = (const float *)c->weights + (size_t)block * 32 * (size_t)(c->kernel * run);
        for (int i = 0; i < tiles_of(c); i++) {
            struct tile t;
            float sums[4][32];
            tile_at(&t, c, in, i);
            sum_tile(&t, c->kernel, run, row, weights, sums);
            if (c->thresholds) {
                PUT_PLANES(float)
            } else {
                put_floats(c, out, other, &t, block, sums);
            }
        }
    }
}
