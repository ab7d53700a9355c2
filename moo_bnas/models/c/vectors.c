static inline uint64_t ones_of(uint64_t x) {
#if defined(__GNUC__) && (defined(__POPCNT__) || defined(__aarch64__))
    return (uint64_t)__builtin_popcountll(x);
#else
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return x * UINT64_C(0x0101010101010101) >> 56;
#endif
}

#if defined(__AVX512F__) && defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
typedef __m512i bits_t;
#define BITS_LANES 8
#define BITS_STEPS 0x7fffffff
#define bits_zero() _mm512_setzero_si512()
#define bits_load(p) _mm512_loadu_si512(p)
#define bits_splat(x) _mm512_set1_epi64((long long)(x))
#define bits_count(x, w) _mm512_popcnt_epi64(_mm512_and_si512(x, w))
#define bits_plus(a, b) _mm512_add_epi64(a, b)
#define bits_sum(a) (a)
#define bits_sums(a, b) _mm512_add_epi64(a, b)
#define bits_store(p, a) _mm512_storeu_si512(p, a)
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256i bits_t;
#define BITS_LANES 4
#define BITS_STEPS 31 /* each adds at most 8 to a byte */
#define bits_zero() _mm256_setzero_si256()
#define bits_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define bits_splat(x) _mm256_set1_epi64x((long long)(x))
#define bits_plus(a, b) _mm256_add_epi8(a, b)
#define bits_sum(a) _mm256_sad_epu8(a, _mm256_setzero_si256())
#define bits_sums(a, b) _mm256_add_epi64(a, b)
#define bits_store(p, a) _mm256_storeu_si256((__m256i *)(p), a)
static inline __m256i bits_count(__m256i x, __m256i w) {
    const __m256i ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, /* of */
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15), both = _mm256_and_si256(x, w);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
    return _mm256_add_epi8(_mm256_shuffle_epi8(ones, _mm256_and_si256(both, low)),
                           _mm256_shuffle_epi8(ones, high));
}
#elif defined(__ARM_NEON)
#include <arm_neon.h>
typedef uint8x16_t bits_t;
#define BITS_LANES 2
#define BITS_STEPS 31
#define bits_zero() vdupq_n_u8(0)
#define bits_load(p) vreinterpretq_u8_u64(vld1q_u64(p))
#define bits_splat(x) vreinterpretq_u8_u64(vdupq_n_u64(x))
#define bits_count(x, w) vcntq_u8(vandq_u8(x, w))
#define bits_plus(a, b) vaddq_u8(a, b)
#define bits_sum(a) vreinterpretq_u8_u64(vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(a))))
#define bits_sums(a, b) \
    vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)))
#define bits_store(p, a) vst1q_u64(p, vreinterpretq_u64_u8(a))
#else
typedef uint64_t bits_t;
#define BITS_LANES 1
#define BITS_STEPS 0x7fffffff
#define bits_zero() 0
#define bits_load(p) (*(p))
#define bits_splat(x) (x)
#define bits_count(x, w) ones_of((x) & (w))
#define bits_plus(a, b) ((a) + (b))
#define bits_sum(a) (a)
#define bits_sums(a, b) ((a) + (b))
#define bits_store(p, a) (*(p) = (a))
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512 float_t_;
#define FLOAT_LANES 16
#define float_zero() _mm512_setzero_ps()
#define float_load(p) _mm512_loadu_ps(p)
#define float_splat(x) _mm512_set1_ps(x)
#define float_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define float_store(p, a) _mm512_storeu_ps(p, a)
#elif defined(__AVX2__) && defined(__FMA__)
typedef __m256 float_t_;
#define FLOAT_LANES 8
#define float_zero() _mm256_setzero_ps()
#define float_load(p) _mm256_loadu_ps(p)
#define float_splat(x) _mm256_set1_ps(x)
#define float_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define float_store(p, a) _mm256_storeu_ps(p, a)
#elif defined(__ARM_NEON)
typedef float32x4_t float_t_;
#define FLOAT_LANES 4
#define float_zero() vdupq_n_f32(0)
#define float_load(p) vld1q_f32(p)
#define float_splat(x) vdupq_n_f32(x)
#define float_fma(a, b, c) vmlaq_f32(c, a, b)
#define float_store(p, a) vst1q_f32(p, a)
#else
typedef float float_t_;
#define FLOAT_LANES 1
#define float_zero() 0
#define float_load(p) (*(p))
#define float_splat(x) (x)
#define float_fma(a, b, c) ((a) * (b) + (c))
#define float_store(p, a) (*(p) = (a))
#endif
