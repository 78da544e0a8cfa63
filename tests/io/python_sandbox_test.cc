// Python in the sandbox, and what unit tests make of programs that solve, fail, cheat or do harm.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "io/sandbox_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/sandbox/python.h"

namespace lathe::testing {
namespace {

using End = PythonVerdict::End;

class PythonOf : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = no_python()) GTEST_SKIP() << *reason;
  }
  // One for all tests: finding the interpreter takes a moment.
  static PythonSandbox& python() {
    static PythonSandbox made({.seconds = 5, .memory = 256, .processes = 8}, "test");
    made.prepare();
    return made;
  }
  static SandboxResult ran(const std::string& program) {
    const SandboxJob job = python().job(program, "in\n");
    return python().run({&job, 1}).at(0);
  }
  static std::vector<PythonVerdict> tested_all(const std::vector<std::string>& programs,
                                               const std::vector<std::string>& tests,
                                               PythonSandbox& by = python()) {
    std::vector<PythonTests> all;
    for (const std::string& program : programs) all.push_back({program, tests});
    return run_tests(by, all);
  }
  // "PASSED of TOTAL".
  std::string tested(const std::string& program, const std::vector<std::string>& tests) {
    last_ = tested_all({program}, tests).at(0);
    return fmt::format("{} of {}", last_.passed, last_.total);
  }
  PythonVerdict last_;
};

TEST_F(PythonOf, RunsProgramsWithoutWhatIsOurs) {
  ::setenv("LATHE_SANDBOX_SECRET", "treasure", 1);
  const SandboxResult r = ran(
      "import os, sys\nprint(input(), os.getcwd(), 'LATHE_SANDBOX_SECRET' in os.environ, os.getuid() != 0)\n"
      "print(hash('a') == int(os.popen(f'{sys.executable} -c \"print(hash(chr(97)))\"').read()))");
  ::unsetenv("LATHE_SANDBOX_SECRET");
  EXPECT_EQ(r.output, "in /tmp False True\nTrue\n") << r.errors;
}

TEST_F(PythonOf, CountsTheAssertsThatHold) {
  const char* good = "def add(a, b):\n  return a + b\n";
  EXPECT_EQ(tested(good, {"assert add(1, 2) == 3", "assert add(0, 0) == 0"}), "2 of 2");
  EXPECT_TRUE(last_.all_passed());
  EXPECT_EQ(
      tested(
          "def add(a, b):\n  return a * b\n",
          {"x = 1\nassert add(x, 2) == 3\nassert add(0, 0) == 0, 'zero'\nassert add(2, 2) == 4"}),
      "2 of 3");
  EXPECT_EQ(last_.end, End::kTested);
  EXPECT_FALSE(last_.all_passed());
  EXPECT_EQ(last_.error, "AssertionError: ");
  EXPECT_EQ(tested(good, {"def check(f):\n  assert f(1, 1) == 2\ncheck(add)"}), "1 of 1");
  EXPECT_EQ(tested(good, {"def check(f):\n  assert f(1, 1) == 3\ncheck(add)"}), "0 of 1");
  EXPECT_EQ(tested("", {"assert True", "assert undefined", "assert 1"}), "2 of 3");
  EXPECT_EQ(last_.error, "NameError: name 'undefined' is not defined");
  // In order, in one scope, and with what an earlier one has made.
  EXPECT_EQ(tested("n = [0]", {"n[0] += 1\nassert n == [1]", "assert n == [1]"}), "2 of 2");
  EXPECT_EQ(tested("print('x' * 5000)\nprint('y', end='')", {"print('z', end='')\nassert True"}),
            "1 of 1");
  EXPECT_EQ(tested("import dataclasses\n@dataclasses.dataclass\nclass A:\n  x: int = 1",
                   {"assert A().x == 1"}),
            "1 of 1");
  EXPECT_EQ(tested("if __name__ == '__main__':\n  raise SystemExit(1)\ns = 'größer'",
                   {"assert s == 'größer'"}),
            "1 of 1");
}

TEST_F(PythonOf, ProgramsThatFailPassNothing) {
  const std::vector<std::string> programs = {
      "def f(:",
      "1/0",
      "import nowhere",
      "raise KeyboardInterrupt",
      "x = [0] * 10**12",
      "def f(): return f()\nf()",
      "input()",
      "assert False",
      std::string("x = '\0'", 7),
      "class E(Exception):\n  def __str__(self): raise E\nraise E()"};
  const auto verdicts = tested_all(programs, {"assert True", "assert True"});
  for (size_t i = 0; i < programs.size(); ++i) {
    EXPECT_EQ(verdicts[i].passed, 0) << programs[i];
    EXPECT_EQ(verdicts[i].total, 2) << programs[i];
    EXPECT_EQ(verdicts[i].end, End::kFailed) << programs[i];
    EXPECT_NE(verdicts[i].error, "") << programs[i];
  }
  EXPECT_EQ(verdicts[1].error, "ZeroDivisionError: division by zero");
}

TEST_F(PythonOf, ProgramsThatLeaveEarlyPassNothing) {
  const std::vector<std::string> programs = {"import sys\nsys.exit(0)",
                                             "raise SystemExit",
                                             "exit()",
                                             "import os\nos._exit(0)",
                                             "import os\nos.kill(os.getpid(), 9)",
                                             "import os\nos.kill(os.getppid(), 9)\nos._exit(0)",
                                             "import os\nos.execv('/bin/true', ['true'])",
                                             "import os\nos.closerange(0, 100)",
                                             "import ctypes\nctypes.string_at(0)"};
  const auto verdicts = tested_all(programs, {"assert False"});
  for (size_t i = 0; i < programs.size(); ++i) {
    EXPECT_EQ(verdicts[i].passed, 0) << programs[i];
    EXPECT_EQ(verdicts[i].end, End::kFailed) << programs[i];
  }
  // What was shown before that counts as passed, but never all.
  EXPECT_EQ(
      tested("import os\ndef f(): os._exit(0)", {"assert True", "f()\nassert True", "assert True"}),
      "1 of 3");
  EXPECT_EQ(last_.end, End::kFailed);
}

TEST_F(PythonOf, TestsCannotBeReplaced) {
  const std::string wrong = "def add(a, b): return 0\n";
  const std::vector<std::string> programs = {
      wrong + "def check(f): pass",
      wrong +
          "import builtins\nbuiltins.exec = lambda *a: None\nbuiltins.compile = lambda *a, **k: None",
      wrong + "import os\nos.write = lambda *a: 0\nos._exit = lambda *a: None",
      wrong + "import ast\nast.Module = None",
      wrong + "import sys\nsys.modules['solution'] = None\nAssertionError = None",
      wrong + "import builtins\nbuiltins.AssertionError = type('Quiet', (Exception,), {})",
      wrong + "import atexit, os\natexit.register(lambda: os._exit(0))",
      wrong + "print('end')\nprint('total 1')\nprint('passed')"};
  const auto verdicts = tested_all(programs, {"def check(f):\n  assert f(1, 1) == 2\ncheck(add)"});
  for (size_t i = 0; i < programs.size(); ++i) {
    EXPECT_EQ(verdicts[i].passed, 0) << programs[i];
    EXPECT_EQ(verdicts[i].total, 1) << programs[i];
  }
}

TEST_F(PythonOf, HarmEndsWithinItsLimits) {
  const TempFolder folder;
  const auto secret = folder.write("secret", "treasure");
  ::chmod(folder.path().c_str(), 0777);
  ::chmod(secret.c_str(), 0666);
  const std::string open = "open('" + secret.string() + "'";
  const std::vector<std::string> programs = {
      "while True: pass",
      "while True: print('x' * 1000)",
      "import os\nwhile True: os.fork()",
      "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
      "x = []\nwhile True: x.append(bytearray(1 << 20))",
      open + ", 'w').write('x')",
      open + ").read()",
      "open('/x', 'w')",
      "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20))",
      "import socket\nsocket.create_connection(('127.0.0.1', 80), timeout=1)",
      "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.1.2.3', 9))\nraise OSError",
      "import os\nos.kill(1, 9)\nos.kill(-1, 9)\nraise OSError",
      "import threading\n"
      "for i in range(100): threading.Thread(target=threading.Event().wait).start()"};
  PythonSandbox brief({.seconds = 1, .memory = 128, .processes = 8}, "test");
  brief.prepare();
  const auto begin = std::chrono::steady_clock::now();
  const auto verdicts = tested_all(programs, {"assert True"}, brief);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(40));
  for (size_t i = 0; i < programs.size(); ++i) {
    EXPECT_EQ(verdicts[i].passed, 0) << programs[i];
    EXPECT_NE(verdicts[i].end, End::kTested) << programs[i];
    EXPECT_NE(verdicts[i].end, End::kRefused) << programs[i];
  }
  EXPECT_EQ(verdicts[0].end, End::kTimeout);
  EXPECT_EQ(verdicts[1].end, End::kTooMuchOutput);
  EXPECT_EQ(content_of(secret), "treasure");
  EXPECT_EQ(entries_in(folder.path()), 1U);
  // What passed before the time was over stays.
  const auto slow = tested_all({"def f(n):\n  while n: pass\n  return 1"},
                               {"assert f(0)", "assert f(1)", "assert f(0)"}, brief);
  EXPECT_EQ(slow[0].passed, 1);
  EXPECT_EQ(slow[0].total, 3);
  EXPECT_EQ(slow[0].end, End::kTimeout);
}

TEST_F(PythonOf, SaysWhenTheTestsAreNoPython) {
  tested("x = 1", {"assert x ==", "assert True"});
  EXPECT_EQ(last_.end, End::kBadTests);
  EXPECT_EQ(last_.error.find("SyntaxError: "), 0U) << last_.error;
}

TEST_F(PythonOf, VerdictsComeInOrder) {
  std::vector<PythonTests> all;
  for (int i = 0; i < 7; ++i)
    all.push_back({.program = "import time\ntime.sleep(" + std::string(i % 2 == 0 ? "0.3" : "0") +
                              ")\nx = " + std::to_string(i),
                   .tests = {"assert x % 3 == 0"}});
  int64_t calls = 0;
  const auto verdicts = run_tests(python(), all, [&] { ++calls; });
  ASSERT_EQ(verdicts.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(verdicts[i].all_passed(), i % 3 == 0) << i;
  EXPECT_GT(calls, 0);
}

TEST(PythonSandbox, SaysWhatIsMissing) {
  if (const auto reason = no_sandbox()) GTEST_SKIP() << *reason;
  const auto refusal = [](const std::string& python,
                          std::optional<std::string> search = std::nullopt) {
    return error_text([&] {
      PythonSandbox made({.python = python}, "reward.functions", std::move(search));
      made.prepare();
    });
  };
  EXPECT_EQ(
      refusal("python4711"),
      "[sandbox.python] it is 'python4711', and there is no such program in PATH; install Python 3.8 or newer "
      "(Debian: apt-get install python3), or name another interpreter");
  EXPECT_EQ(
      refusal("/bin/true")
          .find(
              "[sandbox.python] it is '/bin/true', and /bin/true is no Python; install Python 3.8 or newer "
              "(Debian: apt-get install python3), or name another interpreter"),
      0U);
  EXPECT_NE(refusal("/bin/no_such_python").find("there is no such program"), std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
