// The table of kernels of one device: the interface that hides the hardware.
//
// A kernel sees plain TensorViews: no tape, no allocation of tensors, no exceptions. Shapes have
// been checked by ops/ and are stated here for each operand. Unless a line says otherwise:
//   * activations and their gradients share one floating dtype (f32, bf16, or on kRef any);
//   * weights of norms and biases may be f32 or the activation dtype; gradients of parameters
//     are f32 (f64 on kRef in f64);
//   * sums accumulate in f32 or wider, in an order that depends only on shapes and the thread
//     count;
//   * the last dimension is contiguous, earlier ones may be strided; outputs do not overlap inputs
//     except where "in place" is allowed;
//   * index tensors (i32: ids, labels, positions, segments, prefixes, rows, lists of rows) are on
//     Device::kCpu, whichever device computes, because plain loops make and check them there;
//   * an absent optional operand is a default TensorView (data == nullptr).
// Shape letters: docs/glossary.md. N is the number of rows, usually B·T.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lathe/kernels/activation/activation_id.h"
#include "lathe/kernels/attention/spec.h"
#include "lathe/kernels/conv/spec.h"
#include "lathe/tensor/storage.h"
#include "lathe/tensor/tensor.h"

namespace lathe::kernels {

struct PackedParts;  // quantized/packed_rows.h

// Whether a kernel overwrites its output or adds to it.
enum class Write : uint8_t { kOverwrite, kAccumulate };

enum class RopeLayout : uint8_t {
  kHalfSplit,    // pairs (i, i + R/2): GPT-NeoX, Llama in transformers
  kInterleaved,  // pairs (2i, 2i + 1): GPT-J, the paper
};

struct RopeSpec {
  RopeLayout layout = RopeLayout::kHalfSplit;
  bool inverse = false;  // rotate by minus the angle: the backward
};

// In double, because 1 - beta in f32 is off by four roundings, the same way at every step.
struct AdamWSpec {
  double lr, beta1, beta2, eps, weight_decay;
  double grad_scale;   // multiplies the gradient first (clipping, accumulation)
  double correction1;  // 1 - beta1^step
  double correction2;  // 1 - beta2^step
};

// slots.h lists the entries once more, for code that iterates over the table.
struct Kernels {
  const char* name;   // "ref", "cpu"
  std::string level;  // instruction-set level in use, e.g. "avx512_bf16"

  // c[M,N] (=|+=) a[M,K] · b[K,N] + bias[N]. Either stride of a and b may be 1, so a transposed
  // operand is a transposed view. a and b have the same dtype, or b is bf16 and a is f32; c has a's
  // dtype or is f32.
  void (*matmul)(const TensorView& a, const TensorView& b, const TensorView& bias,
                 const TensorView& c, Write write);
  // The same, and a row of c has the same bits whatever other rows are computed with it and however
  // many threads there are: inference in batches. matmul is at most as slow; a library may compute
  // it.
  void (*row_matmul)(const TensorView& a, const TensorView& b, const TensorView& bias,
                     const TensorView& c, Write write);

  // y[N,O] = x[N,K] · w[O,K]ᵀ + bias[O], w quantised; bias optional. On kCpu x is rounded to int8
  // first, in groups of 32 with a scale of max |x| / 127 each; the rest is exact up to f32, and a
  // row of y has the same bits whatever N and the number of threads.
  void (*quantized_matmul)(const TensorView& x, const PackedParts& w, const TensorView& bias,
                           const TensorView& y);

  // Elementwise over equal shapes; in place allowed.
  //   add          out = a + b
  //   axpy         y += alpha·x, dtypes may differ
  //   scale        out = alpha·x
  //   cast         between any floating dtypes, strided
  //   sum_rows     out[C] (=|+=) sum_n x[n,C]
  //   sum_squares  of a contiguous tensor; NaN if any element is
  void (*add)(const TensorView& a, const TensorView& b, const TensorView& out);
  void (*axpy)(double alpha, const TensorView& x, const TensorView& y);
  void (*scale)(double alpha, const TensorView& x, const TensorView& out);
  void (*cast)(const TensorView& x, const TensorView& out);
  void (*sum_rows)(const TensorView& x, const TensorView& out, Write write);
  double (*sum_squares)(const TensorView& x);

  // y = f(x); dx = dy · f'(x). All [N,F]. In both backward kernels dx may be x itself.
  void (*activation)(ActivationId f, const TensorView& x, const TensorView& y);
  void (*activation_backward)(ActivationId f, const TensorView& x, const TensorView& dy,
                              const TensorView& dx);
  // x[N,2F] holds gate then up: y[N,F] = f(gate) · up (Shazeer 2020, arXiv:2002.05202).
  void (*gated)(ActivationId f, const TensorView& x, const TensorView& y);
  void (*gated_backward)(ActivationId f, const TensorView& x, const TensorView& dy,
                         const TensorView& dx);

  // y = x · rstd · w (+ b), rstd = 1/sqrt(mean(x²) + eps) (Zhang & Sennrich 2019,
  // arXiv:1910.07467). x, y [N,C]; w, b [C] optional; rstd f32 (f64 for f64 x) [N] is saved for the
  // backward.
  void (*rms_norm)(const TensorView& x, const TensorView& w, const TensorView& b,
                   const TensorView& y, const TensorView& rstd, double eps);
  // The gradients of a layer with input x, weight w and bias b: dx (=|+=); dw, db (=|+=, each
  // optional).
  struct LayerGradients {
    TensorView dx;
    Write write_dx;
    TensorView dw, db;
    Write write_dw, write_db;
  };
  void (*rms_norm_backward)(const TensorView& x, const TensorView& w, const TensorView& rstd,
                            const TensorView& dy, const LayerGradients& out);
  // y = (x - mean)·rstd·w + b, rstd = 1/sqrt(var + eps), var biased (Ba et al. 2016,
  // arXiv:1607.06450).
  void (*layer_norm)(const TensorView& x, const TensorView& w, const TensorView& b,
                     const TensorView& y, const TensorView& mean, const TensorView& rstd,
                     double eps);
  void (*layer_norm_backward)(const TensorView& x, const TensorView& w, const TensorView& mean,
                              const TensorView& rstd, const TensorView& dy,
                              const LayerGradients& out);
  // y = x · rstd · w + b, rstd = 1/sqrt((sum(x²) + sum(x)²) / (C + 1) + eps), sum = sum(x): CRMS
  // norm (Jiang et al. 2023, arXiv:2305.14858).
  void (*crms_norm)(const TensorView& x, const TensorView& w, const TensorView& b,
                    const TensorView& y, const TensorView& sum, const TensorView& rstd, double eps);
  void (*crms_norm_backward)(const TensorView& x, const TensorView& w, const TensorView& sum,
                             const TensorView& rstd, const TensorView& dy,
                             const LayerGradients& out);

  // y[n,c] = bias[c] + sum_u w[u,c] · x[input(n,u), c], the taps u as conv/spec.h says: a
  // depth-wise convolution of several sequences. x [M,F], y [N,F], w [taps,F], bias [F] optional.
  void (*depthwise_conv)(const TensorView& x, const TensorView& w, const TensorView& bias,
                         const TensorView& y, const ConvSpec& spec);
  void (*depthwise_conv_backward)(const TensorView& x, const TensorView& w, const TensorView& dy,
                                  const ConvSpec& spec, const LayerGradients& out);

  // out[N,C] = table[ids[N]]; ids i32, checked by the caller. dtable[V,C] (f32) += scatter of dout,
  // in order of n for each row.
  void (*embedding)(const TensorView& table, const TensorView& ids, const TensorView& out);
  void (*embedding_backward)(const TensorView& ids, const TensorView& dout,
                             const TensorView& dtable);

  // Rows by index, which send tokens to experts and back (ops/moe.h). rows i32 [R], each below N,
  // or negative for a row of zeros; scales f32 (f64 for f64 x) [R], optional: 1.
  //   gather_rows  out[r,C] = scales[r] · x[rows[r],C], x [N,C]
  //   gather_sum   out[n,C] (=|+=) sum over j in [begin[n], begin[n+1]), in that order, of
  //                scales[index[j]] · x[index[j],C], x [R,C]; begin i32 [N+1], index i32 [M]
  //   gather_dot   out[r] = sum over c of a[r,c] · b[rows[r],c], 0 where rows[r] < 0; a [R,C],
  //                b [N,C], out f32 (f64 for f64 a) [R]
  void (*gather_rows)(const TensorView& x, const TensorView& rows, const TensorView& scales,
                      const TensorView& out);
  struct RowLists {
    TensorView begin, index;
  };
  void (*gather_sum)(const TensorView& x, const RowLists& lists, const TensorView& scales,
                     const TensorView& out, Write write);
  void (*gather_dot)(const TensorView& a, const TensorView& b, const TensorView& rows,
                     const TensorView& out);

  // y[n,:] = softmax(x[n,:]), lse[n] = logsumexp(x[n,:]) (f32, or f64; optional). x, y [N,E], E >
  // 0. In place allowed. dx = y · (dy - sum(y · dy)).
  void (*softmax)(const TensorView& x, const TensorView& y, const TensorView& lse);
  void (*softmax_backward)(const TensorView& y, const TensorView& dy, const TensorView& dx);

  // Rotary positions (Su et al. 2021, arXiv:2104.09864). x, out [N,H,D]; cos, sin f32 [P,R/2] (f64
  // for f64 x), R <= D the rotated width (the rest is copied); positions i32 [N], the row of the
  // tables for each token, all < P. In place allowed.
  void (*rope)(const TensorView& x, const TensorView& cos, const TensorView& sin,
               const TensorView& positions, const TensorView& out, const RopeSpec& spec);

  // out = softmax(scores)·v by tiles with an online softmax (Dao et al. 2022, arXiv:2205.14135;
  // Milakov & Gimelshein 2018, arXiv:1805.02867); scores and what is visible: attention/spec.h. q
  // [N,H,D], k [R,K,D], v [R,K,Dv] (H a multiple of K; head h reads h / (H/K)), out [N,H,Dv], where
  // spec.rows says which rows belong to which sequence. lse f32 [H,N], contiguous, = log of the
  // softmax denominator, optional, saved for the backward. k and v are of q's dtype, or of one and
  // the same smaller type: bf16, or int8 with the spec's scales. A query that sees no key gives zeros,
  // and lse = its sink logit or -inf. Memory linear in T and S; tiles that are wholly hidden cost
  // nothing.
  void (*attention)(const TensorView& q, const TensorView& k, const TensorView& v,
                    const TensorView& out, const TensorView& lse, const AttentionSpec& spec);
  struct AttentionGradients {
    // Overwritten, with the shapes of q, k, v; of dk and dv only the rows that are keys of a
    // sequence, which no two sequences may share.
    TensorView dq, dk, dv;
    // The gradients of the spec's tables except key_bias; optional, overwritten, f32 (f64 for f64),
    // with the shapes of the tables. Their sums run over batch rows and heads in order.
    AttentionTables<TensorView> tables = {};
  };
  void (*attention_backward)(const TensorView& q, const TensorView& k, const TensorView& v,
                             const TensorView& out, const TensorView& lse, const TensorView& dout,
                             const AttentionSpec& spec, const AttentionGradients& gradients);

  // out[i] = uniform_i >= p ? x[i] / (1 - p) : 0 with uniform_i = Rng(key).uniform(i), i the
  // row-major index; its own backward. In place allowed. Contiguous.
  void (*dropout)(const TensorView& x, const TensorView& out, double p, uint64_t key);

  // losses[n] (f32, or f64) = logsumexp(logits[n,:]) - logits[n, labels[n]], 0 where labels[n] < 0.
  // dlogits[n,:] = grad_scale · (softmax(logits[n,:]) - onehot), 0 where ignored; optional, in
  // place allowed when dtypes agree. logits f32 [N,V]; dlogits any floating dtype.
  void (*cross_entropy)(const TensorView& logits, const TensorView& labels,
                        const TensorView& losses, const TensorView& dlogits, double grad_scale);

  // One AdamW step (Loshchilov & Hutter 2019, arXiv:1711.05101) over one flat parameter: w, m, v
  // f32, g f32, and w's copy in the compute dtype, optional.
  void (*adamw)(const TensorView& w, const TensorView& g, const TensorView& m, const TensorView& v,
                const TensorView& copy, const AdamWSpec& spec);
};

const Kernels& ref_kernels();
const Kernels& cpu_kernels();  // the best level that this machine and select_cpu_level() allow

// What kernels_for() gives for kCpu instead of cpu_kernels(), or nullptr. Only AccountScope
// (account.h) sets it.
inline const Kernels* substitute_cpu_kernels = nullptr;

inline const Kernels& kernels_for(Device device) {
  switch (device) {
    case Device::kRef:
      return ref_kernels();
    case Device::kCpu:
      return substitute_cpu_kernels != nullptr ? *substitute_cpu_kernels : cpu_kernels();
  }
  return cpu_kernels();
}

// Instruction-set levels that this machine can run, lowest first: "baseline", and on x86-64 "avx2",
// "avx512", "avx512_bf16", "amx_bf16".
std::vector<std::string> cpu_levels();
// Makes cpu_kernels() use `level` from then on; throws kDevice if the machine lacks it. Call before
// any kernel runs; not thread-safe.
void select_cpu_level(const std::string& level);

}  // namespace lathe::kernels
