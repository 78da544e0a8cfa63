// The reference kernels: the table of kernels.h in scalar double arithmetic, in the simplest
// readable form, for any floating dtypes and strides. They are the executable specification that
// every fast kernel is tested against, the device kRef of gradient checks, and what cpu_kernels()
// falls back to for dtypes it has no fast loop for. Contracts: kernels.h. Serial; thread-safe.
#pragma once

#include "lathe/kernels/kernels.h"

namespace lathe::kernels::ref {

void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write);

void add(const TensorView& a, const TensorView& b, const TensorView& out);
void axpy(double alpha, const TensorView& x, const TensorView& y);
void scale(double alpha, const TensorView& x, const TensorView& out);
void cast(const TensorView& x, const TensorView& out);
void sum_rows(const TensorView& x, const TensorView& out, Write write);
double sum_squares(const TensorView& x);

void activation(ActivationId f, const TensorView& x, const TensorView& y);
void activation_backward(ActivationId f, const TensorView& x, const TensorView& dy,
                         const TensorView& dx);
void gated(ActivationId f, const TensorView& x, const TensorView& y);
void gated_backward(ActivationId f, const TensorView& x, const TensorView& dy,
                    const TensorView& dx);

void rms_norm(const TensorView& x, const TensorView& w, const TensorView& b, const TensorView& y,
              const TensorView& rstd, double eps);
void rms_norm_backward(const TensorView& x, const TensorView& w, const TensorView& rstd,
                       const TensorView& dy, const Kernels::NormGradients& out);
void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, const TensorView& y,
                const TensorView& mean, const TensorView& rstd, double eps);
void layer_norm_backward(const TensorView& x, const TensorView& w, const TensorView& mean,
                         const TensorView& rstd, const TensorView& dy,
                         const Kernels::NormGradients& out);
void crms_norm(const TensorView& x, const TensorView& w, const TensorView& b, const TensorView& y,
               const TensorView& sum, const TensorView& rstd, double eps);
void crms_norm_backward(const TensorView& x, const TensorView& w, const TensorView& sum,
                        const TensorView& rstd, const TensorView& dy,
                        const Kernels::NormGradients& out);

void embedding(const TensorView& table, const TensorView& ids, const TensorView& out);
void embedding_backward(const TensorView& ids, const TensorView& dout, const TensorView& dtable);

void gather_rows(const TensorView& x, const TensorView& rows, const TensorView& scales,
                 const TensorView& out);
void gather_sum(const TensorView& x, const Kernels::RowLists& lists, const TensorView& scales,
                const TensorView& out, Write write);
void gather_dot(const TensorView& a, const TensorView& b, const TensorView& rows,
                const TensorView& out);
void depthwise_conv(const TensorView& x, const TensorView& w, const TensorView& bias,
                    const TensorView& y, const ConvSpec& spec);
void depthwise_conv_backward(const TensorView& x, const TensorView& w, const TensorView& dy,
                             const ConvSpec& spec, const Kernels::ConvGradients& out);
void softmax(const TensorView& x, const TensorView& y, const TensorView& lse);
void softmax_backward(const TensorView& y, const TensorView& dy, const TensorView& dx);

void rope(const TensorView& x, const TensorView& cos, const TensorView& sin,
          const TensorView& positions, const TensorView& out, const RopeSpec& spec);

void attention(const TensorView& q, const TensorView& k, const TensorView& v, const TensorView& out,
               const TensorView& lse, const AttentionSpec& spec);
void attention_backward(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView& out, const TensorView& lse, const TensorView& dout,
                        const AttentionSpec& spec, const Kernels::AttentionGradients& gradients);

void dropout(const TensorView& x, const TensorView& out, double p, uint64_t key);

void cross_entropy(const TensorView& logits, const TensorView& labels, const TensorView& losses,
                   const TensorView& dlogits, double grad_scale);

void adamw(const TensorView& w, const TensorView& g, const TensorView& m, const TensorView& v,
           const TensorView& copy, const AdamWSpec& spec);

}  // namespace lathe::kernels::ref
