// An account of the kernels that run in a scope: how often each was called on which shapes, how
// much work that was, and how long it took.
//
//   Account account;
//   {
//     const AccountScope scope(account);
//     loop.step(1);
//   }
//   for (const AccountRow& row : account.rows()) ...
//
// Within the scope kernels_for(Device::kCpu) gives a table whose entries time those of
// cpu_kernels(). A kernel that calls other kernels takes them from cpu_kernels(), so that their
// time belongs to the calling kernel. kRef is not accounted for. Outside a scope kernels_for() only
// tests one more pointer. Not thread-safe: one thread opens the scope and calls the kernels.
//
// An operation that keeps a table for its backward keeps the one of its forward, so forward and
// backward belong in one scope; a table kept beyond its scope behaves like the plain one.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lathe/kernels/kernels.h"

namespace lathe::kernels {

// FLOPs of matmul, attention and the depth-wise convolution; other kernels count none, because they
// compute little compared with the data that they move. Bytes are the least possible memory
// traffic: each operand is read once, each output is written once (and read if the kernel adds to
// it or updates it), and of lookup tables no more rows are read than there are indices. Data that
// is still in a cache may be faster than memory.
struct Work {
  double flops = 0, bytes = 0;
};

struct AccountRow {
  std::string kernel;  // "matmul"
  // Of matmul MxKxN of c[M,N] = a[M,K]·b[K,N], and the product of a linear layer that has these
  // layouts: "forward" (b transposed), "dx" (neither), "dw" (a transposed). Of attention BxTxS, T
  // and S of the longest sequence, and H/K heads x D. Else the dimensions of the first operand.
  std::string shape;
  DType dtype = DType::kF32;  // of the first operand
  int64_t calls = 0;
  Work work = {};      // of all calls
  double seconds = 0;  // of all calls, wall time
};

class Account {
 public:
  std::vector<AccountRow> rows() const;  // by kernel and shape
  // The time that describing the calls took: within the scope, but in no row.
  double own_seconds() const { return own_seconds_; }

 private:
  friend class AccountedCall;
  std::map<std::pair<std::string, std::string>, AccountRow> rows_;
  double own_seconds_ = 0;
};

// Scopes nest; the innermost one counts.
class AccountScope {
 public:
  explicit AccountScope(Account& account);
  ~AccountScope();
  AccountScope(const AccountScope&) = delete;
  AccountScope& operator=(const AccountScope&) = delete;

 private:
  Account* outer_;
};

}  // namespace lathe::kernels
