// Every optimiser against its formula written plainly in double, and what all of them promise.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <map>

#include "io/temp_folder.h"
#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/optim/adafactor.h"
#include "lathe/optim/blocks.h"
#include "lathe/tensor/storage.h"
#include "optim/optim_testing.h"

namespace lathe {
namespace {

using namespace lathe::testing;
using Numbers = std::vector<double>;

OptimConfig config_of(std::string_view name) {
  OptimConfig c;
  c.name = name;
  return c;
}

TEST(AdamW, HandComputed) {
  for (const Place& place : kPlaces) {
    Parameters all;
    Owned& w = all.add(parameter("w", {1, 1}, place, {1.0}));
    const auto adamw = make_optimizer(config_of("adamw"), all.list);
    const double gradients[] = {0.5, -1.0, 0.25};
    const double expected[] = {0.890000002, 0.9174373966, 0.9219853371};
    for (int64_t t = 1; t <= 3; ++t) {
      set_gradient(w.gradient, {gradients[t - 1]});
      adamw->step(all.list, {.step = t, .lr = 0.1});
      EXPECT_NEAR(w.master.item(), expected[t - 1], 2e-7) << "step " << t;
    }
  }
}

TEST(AdamW, TablesHaveALearningRateOfTheirOwn) {
  for (const Place& place : kPlaces) {
    Parameters all;
    Owned& matrix = all.add(parameter("w", {1, 1}, place, {1.0}));
    Owned& table = all.add(parameter("t", {1, 1}, place, {1.0}));
    table.is_table = true;
    OptimConfig c = config_of("adamw");
    c.table_lr_ratio = 0.5;
    const auto adamw = make_optimizer(c, all.list);
    for (const TrainedParameter& p : all.list) set_gradient(*p.gradient, {0.5});
    adamw->step(all.list, {.step = 1, .lr = 0.1});
    EXPECT_NEAR(matrix.master.item(), 0.890000002, 2e-7);
    EXPECT_NEAR(table.master.item(), 0.945000001, 2e-7);
  }
}

// One element: the formulas of adamw.h and lion.cc as they are there.
struct Scalar {
  double w, m = 0, v = 0;
  void adamw(double g, double t, double lr, double decay, const OptimConfig& c) {
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(c.beta1, t)), v_hat = v / (1 - std::pow(c.beta2, t));
    w = w - lr * decay * w - lr * m_hat / (std::sqrt(v_hat) + c.eps);
  }
  void lion(double g, double lr, double decay, const OptimConfig& c) {
    const double blend = c.beta1 * m + (1 - c.beta1) * g;
    w = w - lr * decay * w - lr * (blend > 0 ? 1 : blend < 0 ? -1 : 0);
    m = c.beta2 * m + (1 - c.beta2) * g;
  }
};

TEST(Elementwise, FollowTheFormula) {
  for (const Place& place : kPlaces)
    for (const std::string name : {"adamw", "lion"}) {
      Parameters all = mixture(place);
      const OptimConfig c = config_of(name);
      const auto optimizer = make_optimizer(c, all.list);
      std::vector<std::vector<Scalar>> expected;
      for (const TrainedParameter& p : all.list) {
        expected.emplace_back();
        for (double w : p.master.to_vector()) expected.back().push_back({w});
      }
      for (int64_t t = 1; t <= 8; ++t) {
        random_gradients(all, static_cast<uint64_t>(t));
        const double lr = 0.01 * static_cast<double>(t), scale = 0.25;
        for (size_t i = 0; i < all.list.size(); ++i) {
          const Numbers g = all.list[i].gradient->tensor.to_vector();
          const double decay = all.list[i].master.rank() >= 2 ? 0.1 : 0.0;
          for (size_t j = 0; j < g.size(); ++j)
            name == "lion"
                ? expected[i][j].lion(scale * g[j], lr, decay, c)
                : expected[i][j].adamw(scale * g[j], static_cast<double>(t), lr, decay, c);
        }
        optimizer->step(all.list, {.step = t, .lr = lr, .grad_scale = scale});
      }
      for (size_t i = 0; i < all.list.size(); ++i) {
        const Numbers w = all.list[i].master.to_vector();
        for (size_t j = 0; j < w.size(); ++j)
          EXPECT_NEAR(w[j], expected[i][j].w, place.tolerance) << name << " " << all.list[i].name();
      }
    }
}

TEST(Lion, ZeroGradientAndMomentumMovesNothing) {
  Parameters all;
  Owned& w = all.add(parameter("w", {2}, kCpu, {1, 2}));
  const auto lion = make_optimizer(config_of("lion"), all.list);
  set_gradient(w.gradient, {0, -3});
  lion->step(all.list, {.step = 1, .lr = 0.5});
  EXPECT_EQ(w.master.to_vector(), (Numbers{1, 2.5}));
}

// The formula of adafactor.h over one matrix, or over a vector as v with the whole.
struct PlainAdafactor {
  Numbers row, col, v;
  void step(Numbers& w, const Numbers& g, size_t rows, double t, double lr, double decay,
            bool relative) {
    const size_t n = w.size(), cols = n / rows;
    const double beta = 1 - std::pow(t, -0.8);
    row.resize(rows), col.resize(cols), v.resize(n);
    double row_mean = 0, square = 0, weight = 0;
    for (size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (size_t c = 0; c < cols; ++c) sum += g[r * cols + c] * g[r * cols + c] + 1e-30;
      row[r] = beta * row[r] + (1 - beta) * sum / static_cast<double>(cols);
      row_mean += row[r] / static_cast<double>(rows);
    }
    for (size_t c = 0; c < cols; ++c) {
      double sum = 0;
      for (size_t r = 0; r < rows; ++r) sum += g[r * cols + c] * g[r * cols + c] + 1e-30;
      col[c] = beta * col[c] + (1 - beta) * sum / static_cast<double>(rows);
    }
    Numbers u(n);
    for (size_t i = 0; i < n; ++i) {
      v[i] = beta * v[i] + (1 - beta) * (g[i] * g[i] + 1e-30);
      const double second = rows > 1 ? row[i / cols] * col[i % cols] / row_mean : v[i];
      u[i] = g[i] / std::sqrt(second);
      square += u[i] * u[i] / static_cast<double>(n);
      weight += w[i] * w[i] / static_cast<double>(n);
    }
    const double alpha = relative ? lr * std::max(1e-3, std::sqrt(weight)) : lr;
    for (size_t i = 0; i < n; ++i)
      w[i] = w[i] - lr * decay * w[i] - alpha * u[i] / std::max(1.0, std::sqrt(square));
  }
};

TEST(Adafactor, FollowsTheFormula) {
  for (const Place& place : kPlaces)
    for (const bool relative : {false, true}) {
      Parameters all;
      all.add(parameter("matrix", {6, 5}, place, normals(30, 1)));
      all.add(parameter("vector", {9}, place, normals(9, 2)));
      OptimConfig c = config_of("adafactor");
      c.components.get<AdafactorConfig>().relative_step = relative;
      const auto optimizer = make_optimizer(c, all.list);
      Numbers matrix = all.list[0].master.to_vector(), vector = all.list[1].master.to_vector();
      PlainAdafactor of_matrix, of_vector;
      for (int64_t t = 1; t <= 6; ++t) {
        random_gradients(all, static_cast<uint64_t>(t));
        const double size = t == 4 ? 50.0 : 1.0;  // a spike, for the clipping
        Numbers g0 = all.list[0].gradient->tensor.to_vector(),
                g1 = all.list[1].gradient->tensor.to_vector();
        for (double& x : g0) x *= size;
        for (double& x : g1) x *= size;
        of_matrix.step(matrix, g0, 6, static_cast<double>(t), 0.02, 0.1, relative);
        of_vector.step(vector, g1, 1, static_cast<double>(t), 0.02, 0.0, relative);
        optimizer->step(all.list, {.step = t, .lr = 0.02, .grad_scale = size});
      }
      const Numbers w0 = all.list[0].master.to_vector(), w1 = all.list[1].master.to_vector();
      for (size_t i = 0; i < w0.size(); ++i) EXPECT_NEAR(w0[i], matrix[i], place.tolerance);
      for (size_t i = 0; i < w1.size(); ++i) EXPECT_NEAR(w1[i], vector[i], place.tolerance);
    }
}

TEST(Blocks, PartsExpertsAndVectors) {
  const Parameters all = mixture(kCpu);
  const auto fused = optim::matrix_blocks(*all.owned[0]);
  ASSERT_EQ(fused.size(), 3u);
  EXPECT_EQ(fused[1].offset, 16);
  EXPECT_EQ(fused[1].rows, 2);
  EXPECT_EQ(fused[2].offset, 24);
  EXPECT_EQ(optim::matrix_blocks(*all.owned[1]).size(), 1u);
  EXPECT_TRUE(optim::matrix_blocks(*all.owned[2]).empty());
  const auto experts = optim::matrix_blocks(*all.owned[3]);
  ASSERT_EQ(experts.size(), 2u);
  EXPECT_EQ(experts[1].offset, 12);
  all.owned[0]->parts = {4, 2};
  EXPECT_THROW(optim::matrix_blocks(*all.owned[0]), Error);
  all.owned[3]->parts = {1, 1};
  EXPECT_THROW(optim::matrix_blocks(*all.owned[3]), Error);
}

// What every optimiser of the catalogue promises.
class EveryOptimizer : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Catalogue, EveryOptimizer, ::testing::ValuesIn(names_of(optimizers())),
                         [](const auto& test) { return test.param; });

TEST_P(EveryOptimizer, MinimisesAQuadratic) {
  for (const Place& place : kPlaces) {
    Parameters all = mixture(place);
    OptimConfig c = config_of(GetParam());
    c.weight_decay = 0;
    const auto optimizer = make_optimizer(c, all.list);
    const auto loss_and_gradients = [&] {  // Σ (w - 0.5)² / 2
      double loss = 0;
      for (const TrainedParameter& p : all.list) {
        Numbers g = p.master.to_vector();
        for (double& x : g) x -= 0.5, loss += x * x / 2;
        set_gradient(*p.gradient, g);
      }
      return loss;
    };
    const double before = loss_and_gradients();
    for (int64_t t = 1; t <= 300; ++t) {
      optimizer->step(all.list, {.step = t, .lr = 0.1 * (1 - static_cast<double>(t) / 301)});
      loss_and_gradients();
    }
    EXPECT_LT(loss_and_gradients(), before / 1000);
  }
}

// Of f32 masters, before any state is made, and of parameters that have no memory yet.
TEST_P(EveryOptimizer, SaysWhatItsStateTakes) {
  for (const Place& place : kPlaces) {
    Parameters all = mixture(place);
    const OptimConfig c = config_of(GetParam());
    std::vector<Parameter*> without_memory;
    for (const auto& p : all.owned) {
      p->value = Tensor();
      without_memory.push_back(p.get());
    }
    const int64_t told = make_optimizer(c, {})->state_bytes(without_memory);
    int64_t held = 0;
    const auto optimizer = make_optimizer(c, all.list);
    optimizer->for_each_state(
        [&](const StateTensor& state) { held += static_cast<int64_t>(state.read().bytes()); });
    EXPECT_EQ(optimizer->resident_bytes(), held);
    EXPECT_EQ(told, place.dtype == DType::kF64 ? held / 2 : held);
  }
}

// The state after some steps, by name.
std::map<std::string, Tensor> state_of(Optimizer& optimizer) {
  std::map<std::string, Tensor> all;
  optimizer.for_each_state([&](const StateTensor& state) {
    EXPECT_TRUE(all.emplace(state.name, state.read().clone()).second) << "twice: " << state.name;
    EXPECT_EQ(all.at(state.name).shape(), state.shape);
    EXPECT_EQ(all.at(state.name).dtype(), state.dtype);
  });
  return all;
}
void expect_same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a)
    EXPECT_EQ(tensor.to_vector(), b.at(name).to_vector()) << name;
}
void random_step(Optimizer& optimizer, Parameters& all, int64_t t) {
  random_gradients(all, static_cast<uint64_t>(t));
  optimizer.step(all.list, {.step = t, .lr = 0.01, .grad_scale = 0.5});
}
void restore(Optimizer& optimizer, const std::map<std::string, Tensor>& saved) {
  size_t restored = 0;
  optimizer.for_each_state([&](const StateTensor& state) {
    state.write(saved.at(state.name));
    ++restored;
  });
  EXPECT_EQ(restored, saved.size());
}

TEST_P(EveryOptimizer, RestoredStateGivesTheSameBits) {
  Parameters straight = mixture(kCpu), stopped = mixture(kCpu);
  const OptimConfig c = config_of(GetParam());
  const auto whole = make_optimizer(c, straight.list), first = make_optimizer(c, stopped.list);
  for (int64_t t = 1; t <= 6; ++t) random_step(*whole, straight, t);
  for (int64_t t = 1; t <= 3; ++t) random_step(*first, stopped, t);
  const auto second = make_optimizer(c, stopped.list);
  restore(*second, state_of(*first));
  for (int64_t t = 4; t <= 6; ++t) random_step(*second, stopped, t);
  for (size_t i = 0; i < straight.list.size(); ++i)
    EXPECT_EQ(straight.list[i].master.to_vector(), stopped.list[i].master.to_vector());
  expect_same(state_of(*whole), state_of(*second));
}

// More than is read at once, and parts of which nothing is in the file yet.
TEST_P(EveryOptimizer, PagedStateGivesTheSameBits) {
  const TempFolder folder;
  for (const Place& place : kPlaces) {
    Parameters memory = mixture(place), disk = mixture(place);
    for (Parameters* all : {&memory, &disk})
      for (const int64_t rows : {9000, 3, 11000, 20000})
        if (place.device == Device::kCpu)  // the specification takes its time
          all->add(parameter("large." + std::to_string(rows), {rows, 64}, place,
                             normals(static_cast<size_t>(rows * 64), static_cast<uint64_t>(rows))));
    OptimConfig c = config_of(GetParam());
    const auto whole = make_optimizer(c, memory.list);
    c.paged = true;
    c.paged_dir = folder.path().string();
    const auto first = make_optimizer(c, disk.list);
    expect_same(state_of(*whole), state_of(*first));  // zeros
    for (int64_t t = 1; t <= 2; ++t) random_step(*whole, memory, t);
    for (int64_t t = 1; t <= 2; ++t) random_step(*first, disk, t);
    const auto second = make_optimizer(c, disk.list);
    restore(*second, state_of(*first));
    random_step(*whole, memory, 3);
    random_step(*second, disk, 3);
    for (size_t i = 0; i < memory.list.size(); ++i)
      EXPECT_EQ(memory.list[i].master.to_vector(), disk.list[i].master.to_vector());
    expect_same(state_of(*whole), state_of(*second));
    EXPECT_LT(second->resident_bytes(), whole->resident_bytes() + 1);
    EXPECT_EQ(entries_in(folder.path()), 0U);  // the file has no name
  }
}

TEST(PagedState, TakesWhatThreeParametersNeed) {
  const TempFolder folder;
  OptimConfig c;
  c.paged = true;
  c.paged_dir = folder.path().string();
  Parameters all;
  const int64_t mebi = 1 << 18;  // of f32, as AdamW has two
  for (const int64_t size : {8, 1, 1, 1, 3, 6, 5})
    all.add(parameter(fmt::format("w{}", all.list.size()), {size * mebi}, kCpu,
                      normals(static_cast<size_t>(size * mebi), 1)));
  const auto optimizer = make_optimizer(c, all.list);
  EXPECT_EQ(optimizer->resident_bytes(), (3 + 6 + 5) * 2 * mebi * 4);
  EXPECT_EQ(optimizer->state_bytes({}), 0);
  random_step(*optimizer, all, 1);  // makes gradients, too
  host_allocator().reset_peak();
  const auto before = static_cast<int64_t>(host_allocator().bytes_in_use());
  optimizer->step(all.list, {.step = 2, .lr = 0.01});
  EXPECT_LE(static_cast<int64_t>(host_allocator().peak_bytes()) - before,
            optimizer->resident_bytes());
}

TEST(PagedState, SaysWhereThereIsNoRoom) {
  OptimConfig c;
  c.paged_dir = "/tmp";
  Parameters all = mixture(kCpu);
  EXPECT_EQ(
      error_text([&] { make_optimizer(c, all.list); }),
      "[optim.paged_dir] the state of the optimiser is in memory; set optim.paged = true, or leave the key out");
  c.paged = true;
  c.paged_dir = "/nowhere/at/all";
  const auto nowhere = make_optimizer(c, all.list);
  EXPECT_EQ(error_text([&] { random_step(*nowhere, all, 1); }).find("[/nowhere/at/all] "), 0U);
  // A file may have no more than so many bytes, as on a disk that is full.
  const TempFolder folder;
  c.paged_dir = folder.path().string();
  const auto full = make_optimizer(c, all.list);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &few);
  const std::string text = error_text([&] { random_step(*full, all, 1); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(text.find("[" + folder.path().string() + "] no room for a scratch file of "), 0U)
      << text;
  EXPECT_NE(text.find("free some space, or choose a folder on another disk"), std::string::npos);
}

TEST_P(EveryOptimizer, PartsAreIndependent) {
  // Three stacked parts move as three parameters of their own would.
  Parameters stacked, apart;
  Owned& fused = stacked.add(parameter("w", {7, 4}, kCpu, normals(28, 1)));
  fused.parts = {4, 2, 1};
  const Numbers w = fused.master.to_vector();
  const int64_t rows[] = {4, 2, 1};
  const Owned* part[3];
  for (size_t i = 0, at = 0; i < 3; at += static_cast<size_t>(4 * rows[i]), ++i)
    part[i] = &apart.add(parameter("w" + std::to_string(i), {rows[i], 4}, kCpu,
                                   Numbers(w.begin() + static_cast<int64_t>(at),
                                           w.begin() + static_cast<int64_t>(at) + 4 * rows[i])));
  const OptimConfig c = config_of(GetParam());
  const auto a = make_optimizer(c, stacked.list), b = make_optimizer(c, apart.list);
  for (int64_t t = 1; t <= 4; ++t) {
    random_gradients(stacked, static_cast<uint64_t>(t));
    const Numbers g = fused.gradient.tensor.to_vector();
    for (int64_t i = 0, at = 0; i < 3; at += 4 * rows[i], ++i)
      set_gradient(*apart.list[static_cast<size_t>(i)].gradient,
                   Numbers(g.begin() + at, g.begin() + at + 4 * rows[i]));
    a->step(stacked.list, {.step = t, .lr = 0.01});
    b->step(apart.list, {.step = t, .lr = 0.01});
  }
  Numbers joined;
  for (const Owned* p : part)
    for (double x : p->master.to_vector()) joined.push_back(x);
  EXPECT_EQ(fused.master.to_vector(), joined);
}

TEST_P(EveryOptimizer, UnwrittenGradientIsZero) {
  Parameters zero = mixture(kCpu), unwritten = mixture(kCpu);
  const OptimConfig c = config_of(GetParam());
  const auto a = make_optimizer(c, zero.list), b = make_optimizer(c, unwritten.list);
  for (int64_t t = 1; t <= 3; ++t) {
    random_gradients(zero, static_cast<uint64_t>(t));
    random_gradients(unwritten, static_cast<uint64_t>(t));
    if (t > 1) {
      set_gradient(*zero.list[0].gradient, Numbers(28, 0.0));
      unwritten.list[0].gradient->written = false;  // and what it holds is old
    }
    a->step(zero.list, {.step = t, .lr = 0.01});
    b->step(unwritten.list, {.step = t, .lr = 0.01});
  }
  EXPECT_EQ(zero.list[0].master.to_vector(), unwritten.list[0].master.to_vector());
  *unwritten.list[0].gradient = {};  // never had a gradient at all
  EXPECT_NO_THROW(b->step(unwritten.list, {.step = 4, .lr = 0.01}));
}

TEST_P(EveryOptimizer, ComputeCopyIsTheRoundedValue) {
  Parameters all = mixture(kCpu);
  for (const auto& p : all.owned) p->value = p->master.to(DType::kBF16);
  random_gradients(all, 1);
  const auto optimizer = make_optimizer(config_of(GetParam()), all.list);
  optimizer->step(all.list, {.step = 1, .lr = 0.1});
  for (const TrainedParameter& p : all.list) {
    EXPECT_EQ(p.compute().to_vector(), p.master.to(DType::kBF16).to_vector()) << p.name();
    EXPECT_NE(p.compute().to_vector(), mixture(kCpu).list[0].master.to_vector());
  }
}

TEST_P(EveryOptimizer, ZeroLearningRateMovesNothing) {
  Parameters all = mixture(kCpu);
  const auto optimizer = make_optimizer(config_of(GetParam()), all.list);
  random_gradients(all, 1);
  optimizer->step(all.list, {.step = 1, .lr = 0.0});
  const Parameters fresh = mixture(kCpu);
  for (size_t i = 0; i < all.list.size(); ++i)
    EXPECT_EQ(all.list[i].master.to_vector(), fresh.list[i].master.to_vector());
}

TEST_P(EveryOptimizer, RefusesWhatItCannotTrain) {
  Parameters all = mixture(kCpu);
  const auto optimizer = make_optimizer(config_of(GetParam()), all.list);
  EXPECT_THROW(optimizer->step(all.list, {.step = 0, .lr = 0.1}), Error);
  EXPECT_THROW(optimizer->step(all.list, {.step = 1, .lr = std::nan("")}), Error);
  EXPECT_THROW(optimizer->step(all.list, {.step = 1, .lr = 0.1, .grad_scale = INFINITY}), Error);
  optimizer->for_each_state([](const StateTensor& state) {
    EXPECT_THROW(state.write(Tensor::zeros({1}, DType::kF32)), Error) << state.name;
  });
  Parameters half;
  half.add(parameter("w", {2, 2}, kCpu, {1, 2, 3, 4}));
  half.list[0].master = half.list[0].master.to(DType::kBF16);
  EXPECT_THROW(make_optimizer(config_of(GetParam()), half.list), Error);
  Parameters buffer;
  buffer.add(parameter("router.e_score_correction_bias", {2}, kCpu, {1, 2})).trainable = false;
  EXPECT_THROW(make_optimizer(config_of(GetParam()), buffer.list), Error);
}

TEST(Optimizers, UnknownNameNamesTheNearest) {
  try {
    make_optimizer(config_of("adamv"), {});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kConfig);
    EXPECT_NE(std::string(e.what()).find("'adamw'"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace lathe
