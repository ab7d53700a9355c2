#define PIXELS(g) \
    for (int y = 0; y < (g)->size; y++) \
        for (int x = 0; x < (g)->size; x++)
#define FLOATS(g) ((float *)(void *)pixel(g, y, x))

static void load(const float *image, const struct grid *out) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++)
        FLOATS(out)[c] = image[(c * out->size + y) * out->size + x];
}

static int passed(float value, const float *thresholds, int count) {
    int found = 0;
    for (int i = 0; i < count; i++) found += value > thresholds[i];
    return found;
}

static void binarize(const struct grid *in, const struct grid *out, const float *thresholds,
                     int count) {
    clear(out);
    for (int plane = 0; plane < out->planes; plane++) {
        const struct grid digit = plane_of(out, plane);
        PIXELS(out)
        for (int c = 0; c < in->channels; c++)
            ((uint64_t *)(void *)pixel(&digit, y, x))[c / 64] |=
                (uint64_t)(passed(FLOATS(in)[c], thresholds, count) >> plane & 1) << c % 64;
    }
}

static void levels(const struct grid *in, const struct grid *out, const float *thresholds,
                   int count, const float *values) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < in->channels; c++)
        FLOATS(out)[c] = values[passed(FLOATS(in)[c], thresholds, count)];
}

static void max_pool(const struct grid *in, const struct grid *out, int kernel, int stride,
                     int padding) {
    clear(out);
    PIXELS(out) {
        float *to = FLOATS(out);
        for (int c = 0; c < out->channels; c++) to[c] = -INFINITY;
        for (int i = y * stride - padding; i < y * stride - padding + kernel; i++)
            for (int j = x * stride - padding; j < x * stride - padding + kernel; j++) {
                if (i < 0 || j < 0 || i >= in->size || j >= in->size) continue;
                const float *from = (float *)(void *)pixel(in, i, j);
                for (int c = 0; c < out->channels; c++) to[c] = from[c] > to[c] ? from[c] : to[c];
            }
    }
}

static void batch_norm(const struct grid *in, const struct grid *out, const float *multiplier,
                       const float *offset) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++)
        FLOATS(out)[c] = (float)((double)FLOATS(in)[c] * multiplier[c] + (double)offset[c]);
}

static void relu(const struct grid *in, const struct grid *out) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++)
        FLOATS(out)[c] = FLOATS(in)[c] > 0 ? FLOATS(in)[c] : 0;
}

static void hardtanh(const struct grid *in, const struct grid *out) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++) {
        const float given = FLOATS(in)[c];
        FLOATS(out)[c] = given < -1 ? -1 : given > 1 ? 1 : given;
    }
}

static void prelu(const struct grid *in, const struct grid *out, const float *slope) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++) {
        const float given = FLOATS(in)[c];
        FLOATS(out)[c] = given > 0 ? given : given * slope[c];
    }
}

static void bias(const struct grid *in, const struct grid *out, const float *offset) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++) FLOATS(out)[c] = FLOATS(in)[c] + offset[c];
}

static void add(const struct grid *in, const struct grid *other, const struct grid *out) {
    clear(out);
    PIXELS(out)
    for (int c = 0; c < out->channels; c++) FLOATS(out)[c] = FLOATS(in)[c] + FLOATS(other)[c];
}

static void mean(const struct grid *in, const struct grid *out) {
    for (int c = 0; c < out->channels; c++) {
        double total = 0;
        PIXELS(in) total += FLOATS(in)[c];
        ((float *)out->at)[c] = (float)(total / (in->size * in->size));
    }
}

static void mean_magnitude(const struct grid *in, const struct grid *out) {
    clear(out);
    PIXELS(out) {
        double total = 0;
        for (int c = 0; c < in->channels; c++) total += fabsf(FLOATS(in)[c]);
        FLOATS(out)[0] = (float)(total / in->channels);
    }
}

static void scale(const struct grid *means, const struct grid *in, const struct grid *out,
                  int kernel, int stride, int padding) {
    clear(out);
    PIXELS(out) {
        double total = 0;
        for (int i = y * stride - padding; i < y * stride - padding + kernel; i++)
            for (int j = x * stride - padding; j < x * stride - padding + kernel; j++)
                if (i >= 0 && j >= 0 && i < means->size && j < means->size)
                    total += *(float *)(void *)pixel(means, i, j);
        const float mean = (float)(total / (kernel * kernel));
        for (int c = 0; c < out->channels; c++) FLOATS(out)[c] = FLOATS(in)[c] * mean;
    }
}

static void flatten(const struct grid *in, const struct grid *out) {
    PIXELS(in)
    for (int c = 0; c < in->channels; c++)
        ((float *)out->at)[(c * in->size + y) * in->size + x] = FLOATS(in)[c];
}

static void linear(const struct grid *in, const struct grid *out, const float *weights) {
    for (int o = 0; o < out->channels; o++) {
        double sums[8] = {0}, total = 0;
        const float *w = weights + (size_t)o * (size_t)in->channels, *x = in->at;
        int i = 0;
        for (; i + 8 <= in->channels; i += 8)
            for (int j = 0; j < 8; j++) sums[j] += (double)w[i + j] * x[i + j];
        for (; i < in->channels; i++) total += (double)w[i] * x[i];
        for (int j = 0; j < 8; j++) total += sums[j];
        ((float *)out->at)[o] = (float)total;
    }
}
