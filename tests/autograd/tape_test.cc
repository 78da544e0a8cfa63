#include "lathe/autograd/tape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "io/temp_folder.h"
#include "lathe/base/rng.h"

namespace lathe {
namespace {

using Values = std::vector<double>;

Tensor vec(const Values& values) {
  return Tensor::of<double>(values, {static_cast<int64_t>(values.size())}, Device::kRef);
}

// y = factor·x, whose gradient is written through a sink as kernels do.
Var scaled(double factor, const Var& x) {
  Tensor y(x.shape(), DType::kF64, Device::kRef);
  kernels::ref_kernels().scale(factor, x.value, y);
  return record("scaled", y, {&x}, [x = x.ref(), factor](Gradients& g) {
    const GradientTarget s = g.target(x);
    if (s.write == kernels::Write::kOverwrite) s.target.fill_zero();
    kernels::ref_kernels().axpy(factor, g.of_output(), s.target);
  });
}

// a + b, whose gradients alias that of the sum.
Var sum(const Var& a, const Var& b) {
  Tensor y(a.shape(), DType::kF64, Device::kRef);
  kernels::ref_kernels().add(a.value, b.value, y);
  return record("sum", y, {&a, &b}, [a = a.ref(), b = b.ref()](Gradients& g) {
    g.add(a, g.of_output());
    g.add(b, g.of_output());
  });
}

// x², cheap; `made` counts how often it is computed.
Var square(const Var& x, int* made) {
  auto compute = [made](const Tensor& t) {
    ++*made;
    Values y = t.to_vector();
    for (double& v : y) v *= v;
    return vec(y);
  };
  return record(
      "square", compute(x.value), {&x},
      [x = x.ref(), saved = save(x)](Gradients& g) {
        Values d = g.value(saved).to_vector();
        const Values dy = g.of_output().to_vector();
        for (size_t i = 0; i < d.size(); ++i) d[i] *= 2 * dy[i];
        g.add(x, vec(d));
      },
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

const Tensor kSeed = vec({1, 10});

TEST(Tape, SumsTheGradientsOfEveryUse) {
  Tape tape;
  const Var x = tape.leaf(vec({1, 2}));
  const Var a = scaled(2, x), b = scaled(3, x), c = scaled(5, a);
  tape.backward(sum(sum(a, b), c), kSeed);
  EXPECT_EQ(tape.grad(x).to_vector(), (Values{15, 150}));
}

// sum() hands one tensor to both inputs; adding to one of them must not change the other.
TEST(Tape, CopiesAnAliasedGradientBeforeWriting) {
  Tape tape;
  const Var x = tape.leaf(vec({1, 2})), y = tape.leaf(vec({3, 4}));
  const Var more = scaled(7, x);
  tape.backward(sum(sum(x, y), more), kSeed);
  EXPECT_EQ(tape.grad(x).to_vector(), (Values{8, 80}));
  EXPECT_EQ(tape.grad(y).to_vector(), (Values{1, 10}));
  EXPECT_EQ(kSeed.to_vector(), (Values{1, 10}));
}

TEST(Tape, AddsAValueToItself) {
  Tape tape;
  const Var x = tape.leaf(vec({1, 2}));
  const Var twice = sum(x, x);
  tape.backward(sum(twice, twice), kSeed);
  EXPECT_EQ(tape.grad(x).to_vector(), (Values{4, 40}));
}

TEST(Tape, AResidualChainKeepsEveryBranch) {
  Tape tape;
  const Var x = tape.leaf(vec({1, 2}));
  Var y = x;
  for (int i = 0; i < 5; ++i) y = sum(y, scaled(0.5, y));
  tape.backward(y, kSeed);
  EXPECT_EQ(tape.grad(x).to_vector(), (Values{std::pow(1.5, 5), 10 * std::pow(1.5, 5)}));
}

TEST(Tape, ASinkIsOverwrittenAndThenAddedTo) {
  GradBuffer buffer{vec({std::nan(""), std::nan("")}), false};
  for (int pass = 1; pass <= 3; ++pass) {
    Tape tape;
    const Var w = tape.leaf(vec({1, 2}), &buffer);
    tape.backward(sum(scaled(2, w), sum(w, w)), kSeed);
    EXPECT_TRUE(buffer.written);
    EXPECT_EQ(buffer.tensor.to_vector(), (Values{4.0 * pass, 40.0 * pass}));
    EXPECT_FALSE(tape.grad(w).defined());  // it went to the sink
  }
  buffer.written = false;  // "zeroed"
  Tape tape;
  tape.backward(sum(tape.leaf(vec({1, 2}), &buffer), Var(vec({0, 0}))), kSeed);
  EXPECT_EQ(buffer.tensor.to_vector(), (Values{1, 10}));
}

TEST(Tape, WhatTheLossDoesNotReachHasNoGradient) {
  GradBuffer unused{vec({5, 5}), false};
  Tape tape;
  const Var x = tape.leaf(vec({1, 2})), other = tape.leaf(vec({1, 2}));
  const Var w = tape.leaf(vec({1, 2}), &unused);
  const Var dead = sum(scaled(2, w), other);
  EXPECT_TRUE(dead.needs_grad());
  tape.backward(scaled(3, x), kSeed);
  EXPECT_FALSE(tape.grad(other).defined());
  EXPECT_FALSE(unused.written);
  EXPECT_EQ(unused.tensor.to_vector(), (Values{5, 5}));
}

TEST(Tape, ConstantsRecordNothing) {
  Tape tape;
  const Var a(vec({1, 2}));
  EXPECT_FALSE(scaled(2, a).needs_grad());
  EXPECT_EQ(tape.node_count(), 0u);
  const Var x = tape.leaf(vec({1, 2}));
  tape.backward(sum(x, a), kSeed);
  EXPECT_EQ(tape.grad(x).to_vector(), (Values{1, 10}));
}

TEST(Tape, RefusesWhatItCannotDo) {
  Tape first, second;
  const Var a = first.leaf(vec({1, 2})), b = second.leaf(vec({1, 2}));
  EXPECT_EQ(error_text([&] { sum(a, b); }), "[sum] inputs belong to two tapes");
  EXPECT_EQ(error_text([&] { first.backward(Var(vec({1})), 1.0); }),
            "[backward] the loss depends on nothing that this tape recorded");
  EXPECT_EQ(error_text([&] { first.backward(b, kSeed); }),
            "[backward] the loss depends on nothing that this tape recorded");
  EXPECT_EQ(error_text([&] { first.backward(a, 1.0); }), "[backward] the loss has shape [2]");
  EXPECT_EQ(error_text([&] {
              first.backward(a, vec({1, 2, 3}));
            }),
            "[backward] gradient [3] for a value of shape [2]");
}

TEST(Tape, IsSpentAfterOneBackward) {
  Tape tape;
  const Var x = tape.leaf(vec({1, 2}));
  const Var y = scaled(2, x);
  tape.backward(y, kSeed);
  EXPECT_EQ(error_text([&] { tape.backward(y, kSeed); }),
            "[backward] this tape has run its backward already; record on a new one");
  EXPECT_EQ(tape.grad(x).to_vector(), (Values{2, 20}));
}

// Seven squares in a row with branches between: the bits with and without kept outputs.
Values gradient_of_chain(bool keep_cheap, int* made) {
  Tape tape({.keep_cheap = keep_cheap});
  const Var x = tape.leaf(vec({0.937, -1.021, 0.5}));
  Var y = x;
  for (int i = 0; i < 4; ++i) {
    const Var s = square(y, made);
    y = sum(square(s, made), scaled(0.3, s));
  }
  tape.backward(y, vec({1.1, 0.7, -3}));
  return tape.grad(x).to_vector();
}

TEST(Tape, RecomputingGivesTheSameBits) {
  int kept = 0, remade = 0;
  const Values gradient = gradient_of_chain(true, &kept);
  EXPECT_EQ(gradient, gradient_of_chain(false, &remade));
  EXPECT_EQ(kept, 8);
  // Only outputs that a backward asks for are made again, and each once: the first square of each
  // pair is the saved input of the second.
  EXPECT_EQ(remade, 8 + 4);
  // d/dx of one link: y = x⁴ + 0.3·x²
  double x = 0.937, slope = 1.1;
  for (int i = 0; i < 4; ++i) {
    slope *= 4 * x * x * x + 0.6 * x;
    x = x * x * x * x + 0.3 * x * x;
  }
  EXPECT_NEAR(gradient[0], slope, 1e-12);
}

// Whatever it does, also what a checkpoint does again.
TEST(Tape, AsksBeforeEachOperation) {
  int asked = 0;
  const auto body = [](const Var& x, Tape* tape) {
    return sum(scaled(2, x), scaled(3, tape->leaf(vec({1, 2}))));
  };
  Tape tape({.before_each = [&asked] { ++asked; }});
  const Var x = tape.leaf(vec({3, 4}));
  EXPECT_EQ(asked, 1);
  const Var y = checkpoint(&tape, x, body);
  EXPECT_EQ(asked, 3);  // the leaf inside and the node that stands for the whole
  tape.backward(y, kSeed);
  // The node; again two leaves (of the input, too) and three nodes; the three nodes' backward.
  EXPECT_EQ(asked, 3 + 1 + 5 + 3);
  int left = 2;
  Tape stopped(
      {.before_each = [&left] { require(--left > 0, ErrorKind::kInterrupted, "t", "stop"); }});
  const Var z = stopped.leaf(vec({3, 4}));
  EXPECT_EQ(error_text([&] { scaled(2, z); }), "[t] stop");
}

// A saved value is free to be overwritten when the operation that gives it up was its last holder.
TEST(Tape, LastValueIsUniqueUnlessHeld) {
  const auto unique_at_the_end = [](bool held, bool saved_twice) {
    Tape tape;
    const Var x = tape.leaf(vec({1, 2}));
    Var y = scaled(2, x);
    bool unique = false;
    int made = 0;
    const Var other = saved_twice ? square(y, &made) : Var();  // its backward runs after z's
    Var z =
        record("last", y.value.clone(), {&y},
               [y = y.ref(), saved = save(y), &unique](Gradients& g) mutable {
                 unique = g.last_value(saved).unique();
                 g.add(y, g.of_output());
               },
               {.recompute = [saved = save(y)](Gradients& g) { return g.value(saved).clone(); }});
    if (saved_twice) z = sum(other, z);
    const Var also = held ? y : Var();
    y = Var();
    tape.backward(z, kSeed);
    return unique;
  };
  EXPECT_TRUE(unique_at_the_end(false, false));
  EXPECT_FALSE(unique_at_the_end(true, false));
  EXPECT_FALSE(unique_at_the_end(false, true));
}

// body(x) = w·x·… on the tape it is given, with a parameter.
Var body(const Var& x, Tape* tape, GradBuffer* w, int* runs) {
  ++*runs;
  const Tensor weight = vec({2, 3});
  const Var parameter = tape != nullptr ? tape->leaf(weight, w) : Var(weight);
  int made = 0;
  return sum(square(sum(x, parameter), &made), scaled(0.5, x));
}

struct Gradient {
  Values x, w;
  int runs = 0;
};

Gradient through(bool checkpointed) {
  Gradient g;
  GradBuffer w{vec({std::nan(""), std::nan("")}), false};
  Tape tape;
  const Var x = tape.leaf(vec({0.3, -0.7}));
  Var y = scaled(1.5, x);
  for (int i = 0; i < 3; ++i)
    y = checkpointed
            ? checkpoint(&tape, y, [&](const Var& v, Tape* t) { return body(v, t, &w, &g.runs); })
            : body(y, &tape, &w, &g.runs);
  tape.backward(sum(y, x), kSeed);
  g.x = tape.grad(x).to_vector();
  g.w = w.tensor.to_vector();
  return g;
}

TEST(Checkpoint, RunsTheBodyAgainAndGivesTheSameBits) {
  const Gradient plain = through(false), again = through(true);
  EXPECT_EQ(plain.x, again.x);
  EXPECT_EQ(plain.w, again.w);
  EXPECT_EQ(plain.runs, 3);
  EXPECT_EQ(again.runs, 6);
}

TEST(Checkpoint, KeepsNothingOfTheBody) {
  Tape tape;
  GradBuffer w{vec({0, 0}), false};
  int runs = 0;
  const Var x = tape.leaf(vec({1, 2}));
  checkpoint(&tape, x, [&](const Var& v, Tape* t) { return body(v, t, &w, &runs); });
  EXPECT_EQ(tape.node_count(), 1u);
  // Without a tape nothing is run twice.
  const Var y = checkpoint(nullptr, Var(vec({1, 2})),
                           [&](const Var& v, Tape* t) { return body(v, t, &w, &runs); });
  EXPECT_FALSE(y.needs_grad());
  EXPECT_EQ(runs, 2);
}

// Frozen inputs: the parameters inside still learn.
TEST(Checkpoint, ParametersLearnBehindAConstant) {
  const auto gradient = [](bool checkpointed) {
    GradBuffer w{vec({0, 0}), false};
    int runs = 0;
    Tape tape;
    Var y(vec({0.3, -0.7}));
    for (int i = 0; i < 2; ++i) {
      y = checkpointed
              ? checkpoint(&tape, y, [&](const Var& v, Tape* t) { return body(v, t, &w, &runs); })
              : body(y, &tape, &w, &runs);
      EXPECT_TRUE(y.needs_grad());
    }
    tape.backward(y, kSeed);
    EXPECT_TRUE(w.written);
    return w.tensor.to_vector();
  };
  EXPECT_EQ(gradient(true), gradient(false));
}

TEST(Checkpoint, RecordsNothingWhereNothingLearns) {
  Tape tape;
  int runs = 0;
  const Var x(vec({1, 2}));
  const Var y = checkpoint(&tape, x, [&](const Var& v, Tape*) {
    ++runs;
    return scaled(2, v);
  });
  EXPECT_FALSE(y.needs_grad());
  EXPECT_EQ(y.value.to_vector(), (Values{2, 4}));
  EXPECT_EQ(tape.node_count(), 0u);
  EXPECT_EQ(runs, 1);
}

TEST(Checkpoint, InsideAnother) {
  const auto gradient = [](bool nested) {
    GradBuffer w{vec({0, 0}), false};
    int runs = 0;
    const auto inner = [&](const Var& v, Tape* t) { return body(v, t, &w, &runs); };
    Tape tape;
    const Var y = checkpoint(&tape, Var(vec({0.3, -0.7})), [&](const Var& v, Tape* t) {
      return nested ? checkpoint(t, v, inner) : inner(v, t);
    });
    EXPECT_EQ(tape.node_count(), 1u);
    tape.backward(y, kSeed);
    return w.tensor.to_vector();
  };
  EXPECT_EQ(gradient(true), gradient(false));
}

}  // namespace
}  // namespace lathe
