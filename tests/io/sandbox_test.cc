// What a program may not do in the sandbox: each attempt fails, ends within its limits and leaves nothing behind.

#include "lathe/io/sandbox/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <map>
#include <optional>
#include <thread>

#include "io/sandbox_testing.h"
#include "io/temp_folder.h"
#include "lathe/base/env.h"
#include "lathe/io/sandbox/python.h"

namespace lathe::testing {
namespace {

using End = SandboxResult::End;
using std::chrono::milliseconds;

std::string path() { return environment("PATH").value_or(""); }

// Tests with /bin/sh, which is wherever these run.
class SandboxOf : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = no_sandbox()) GTEST_SKIP() << *reason;
  }
  static Sandbox made(SandboxLimits limits = {}, std::vector<std::filesystem::path> readable = {}) {
    return Sandbox(limits, "test", path()).with_readable(std::move(readable));
  }
  static SandboxJob sh(const std::string& script, std::string input = {}) {
    return {.command = {"/bin/sh", "-c", script}, .input = std::move(input)};
  }
  static SandboxResult ran(const std::string& script, SandboxLimits limits = {}) {
    return made(limits).run(sh(script));
  }
};

TEST_F(SandboxOf, RunsProgramsAndTellsWhatTheySaid) {
  const Sandbox sandbox = made();
  const SandboxResult r =
      sandbox.run(sh("read -r a; echo \"<$a>\"; cat; echo no >&2; exit 3", "1\n2\n"));
  EXPECT_EQ(r.end, End::kExit);
  EXPECT_EQ(r.status, 3);
  EXPECT_EQ(r.output, "<1>\n2\n");
  EXPECT_EQ(r.errors, "no\n");
  EXPECT_EQ(sandbox.run(sh("kill -9 $$")).status, 128 + 9);
  const SandboxResult silent =
      sandbox.run(sh("exec >&- 2>&- <&-; exit 0", std::string(1 << 20, 'x')));
  EXPECT_EQ(silent.end, End::kExit);
  EXPECT_EQ(silent.output + silent.errors, "");
}

TEST_F(SandboxOf, GivesResultsInTheOrderOfTheJobs) {
  std::vector<SandboxJob> jobs;
  for (int i = 0; i < 12; ++i)
    jobs.push_back(sh("sleep 0." + std::to_string(9 - i % 3 * 4) + "; echo " + std::to_string(i)));
  const auto results = made().run(jobs, 6);
  ASSERT_EQ(results.size(), jobs.size());
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(results[i].output, std::to_string(i) + "\n");
}

TEST_F(SandboxOf, AWaitThatThrowsEndsWhatRuns) {
  const Sandbox sandbox = made();
  const std::vector<SandboxJob> jobs(4, sh("sleep 1000"));
  int calls = 0;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(sandbox.run(jobs, 2,
                           [&] {
                             if (++calls == 2) throw std::runtime_error("stop");
                           }),
               std::runtime_error);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(5000));
}

TEST_F(SandboxOf, EndsALoop) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* loop :
       {"while :; do :; done", "sleep 1000", "exec >&- 2>&-; sleep 1000",
        "trap '' TERM INT HUP XCPU; while :; do :; done", "sleep 1000 & sleep 1000 & wait"})
    EXPECT_EQ(ran(loop, {.seconds = 0.5}).end, End::kTimeout) << loop;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(15'000));
}

TEST_F(SandboxOf, EndsAForkBomb) {
  const std::string token = "4711" + std::to_string(::getpid());  // found nowhere else
  SandboxResult r =
      ran("f() { sleep " + token + " & f | f & }; f; wait; f", {.seconds = 1, .processes = 8});
  EXPECT_TRUE(r.end == End::kTimeout || r.status != 0);
  EXPECT_TRUE(none_runs(token));
  // As many as are allowed, and no more.
  const char* count = "n=0; while [ $n -lt 40 ]; do sleep 5 & n=$((n+1)); echo $n; done";
  r = ran(count, {.seconds = 5, .processes = 8});
  EXPECT_NE(r.status, 0);
  EXPECT_EQ(r.output.find("20\n"), std::string::npos) << r.output;
}

TEST_F(SandboxOf, EndsWhatAProgramLeavesRunning) {
  const std::string token = "4712" + std::to_string(::getpid());
  const SandboxResult r = ran("setsid sleep " + token + " & sleep " + token + " & echo done");
  EXPECT_EQ(r.output, "done\n");
  EXPECT_TRUE(none_runs(token));
}

TEST_F(SandboxOf, EndsAFlood) {
  for (const char* flood : {"yes", "yes >&2"}) {
    const SandboxResult r = ran(flood, {.output = 10'000});
    EXPECT_EQ(r.end, End::kTooMuchOutput) << flood;
    EXPECT_EQ(r.output.size() + r.errors.size(), 10'000U);
  }
}

TEST_F(SandboxOf, HidesTheFilesOfTheUser) {
  const TempFolder folder;
  const auto secret = folder.write("secret", "treasure");
  ::chmod(folder.path().c_str(), 0755);
  const SandboxResult hidden =
      ran("cat " + secret.string() + "; ls -a /tmp /home /root; cat /etc/passwd");
  EXPECT_EQ(hidden.output.find("treasure"), std::string::npos);
  EXPECT_EQ(hidden.output.find("root:"), std::string::npos);
  EXPECT_EQ(hidden.output.find("lathe"), std::string::npos) << hidden.output;
  // Unless it is named.
  EXPECT_EQ(made({}, {secret, "/nowhere"}).run(sh("cat " + secret.string())).output, "treasure");
}

TEST_F(SandboxOf, WritesNowhereButToItsOwnTmp) {
  const TempFolder folder;
  const auto kept = folder.write("kept", "as it was");
  ::chmod(folder.path().c_str(), 0777);
  ::chmod(kept.c_str(), 0666);
  const Sandbox sandbox = made({}, {folder.path()});
  for (const std::string& place :
       {kept.string(), (folder / "new").string(), std::string("/x"), std::string("/usr/x"),
        std::string("/dev/x"), std::string("/proc/x")})
    EXPECT_NE(sandbox.run(sh("echo x > " + place)).status, 0) << place;
  EXPECT_EQ(content_of(kept), "as it was");
  EXPECT_EQ(entries_in(folder.path()), 1U);
  EXPECT_EQ(ran("echo x > /tmp/a; cat /tmp/a; pwd").output, "x\n/tmp\n");
  EXPECT_EQ(ran("ls -A /tmp").output, "");  // `folder`, which may be in /tmp, is not seen here
  // And there not without end.
  const char* fill =
      "n=0; while [ $n -lt 9 ]; do head -c 3000000 /dev/zero > $P/$n || exit 5; n=$((n+1)); done";
  for (const std::string& place : {std::string("/tmp"), std::string("/dev/shm")})
    EXPECT_EQ(ran("P=" + place + "; " + fill).status, 5) << place;
}

TEST_F(SandboxOf, HasNoNetwork) {
  EXPECT_EQ(ran("cat /proc/net/dev | grep -c :").output, "1\n");  // the loop of its own
  EXPECT_EQ(ran("cat /proc/net/route | grep -vc Iface").output, "0\n");
}

TEST_F(SandboxOf, SeesAndKillsNobodyElse) {
  const SandboxResult r = ran("kill -9 " + std::to_string(::getpid()) +
                              "; kill -9 1; kill -9 $PPID; kill -9 -1; "
                              "set -- /proc/[0-9]*; echo $#");
  EXPECT_EQ(r.end, End::kExit);
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.output, "2\n");  // its init and itself
}

// Such as the log of rollouts, which the run has open.
TEST_F(SandboxOf, GetsNoOpenFileOfOurs) {
  const TempFolder folder;
  const int ours = ::open((folder / "log").c_str(), O_WRONLY | O_CREAT, 0666);  // without O_CLOEXEC
  const SandboxResult r = ran("ls -l /proc/self/fd | grep -c ' -> '; ls -l /proc/self/fd");
  EXPECT_EQ(r.output.find("4\n"), 0U) << r.output;  // 0, 1, 2, and the folder that ls reads
  ::close(ours);
}

TEST_F(SandboxOf, HasNoRightsAndNoEnvironment) {
  ::setenv("LATHE_SANDBOX_SECRET", "treasure", 1);
  const SandboxResult r =
      ran("grep -h -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; env; id -u");
  ::unsetenv("LATHE_SANDBOX_SECRET");
  EXPECT_NE(r.output.find("CapEff:\t0000000000000000"), std::string::npos) << r.output;
  EXPECT_NE(r.output.find("CapBnd:\t0000000000000000"), std::string::npos) << r.output;
  EXPECT_NE(r.output.find("NoNewPrivs:\t1"), std::string::npos) << r.output;
  EXPECT_EQ(r.output.find("treasure"), std::string::npos) << r.output;
  EXPECT_EQ(r.output.find("\n0\n"), std::string::npos) << "it runs as root";
  EXPECT_NE(ran("unshare -U true").status, 0);
}

TEST_F(SandboxOf, LimitsMemory) {
  const char* much = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}";
  EXPECT_NE(ran(much, {.memory = 64 << 20}).output, "200000000\n");
}

TEST_F(SandboxOf, DiesWithTheProgramThatStartedIt) {
  const std::string token = "4713" + std::to_string(::getpid());
  const pid_t child = ::fork();
  if (child == 0) {
    made().run(sh("sleep " + token));
    ::_exit(0);
  }
  while (none_runs(token, 1)) std::this_thread::sleep_for(milliseconds(5));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(none_runs(token));
}

TEST(Sandbox, IsRefusedWhereItCannotBeMade) {
  EXPECT_EQ(
      error_text([] { Sandbox({}, "reward.functions", "/nowhere"); }),
      "[reward.functions] programs that a model wrote run in a sandbox only, which the program bwrap makes, and "
      "it is not in PATH; install it (Debian: apt-get install bubblewrap)");
  const TempFolder folder;
  const auto fake = folder.write(
      "bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
  const auto setpriv = folder.write(
      "setpriv",
      "#!/bin/sh\nwhile :; do case $1 in --*) shift;; *) break;; esac; done\nexec \"$@\"\n");
  ::chmod(fake.c_str(), 0755);
  ::chmod(setpriv.c_str(), 0755);
  const std::string refusal =
      error_text([&] { Sandbox({}, "objective.tools", folder.path().string()); });
  EXPECT_EQ(
      refusal.find(
          "[objective.tools] programs that a model wrote run in a sandbox only, and this system does not "
          "let bwrap make one (bwrap: No permissions to create new namespace); allow user namespaces ("),
      0U)
      << refusal;
}

// Of a sandbox that worked when it was tried.
TEST(Sandbox, SaysWhereItCouldNotBeMadeLater) {
  const TempFolder folder;
  const auto flag = folder / "flag";
  const auto fake = folder.write("bwrap", "#!/bin/sh\n[ -e '" + flag.string() +
                                              "' ] && { echo 'bwrap: no more' >&2; exit 1; }\n"
                                              "echo '{ \"exit-code\": 7 }' >&3\nexit 7\n");
  const auto setpriv = folder.write(
      "setpriv",
      "#!/bin/sh\nwhile :; do case $1 in --*) shift;; *) break;; esac; done\nexec \"$@\"\n");
  ::chmod(fake.c_str(), 0755);
  ::chmod(setpriv.c_str(), 0755);
  const Sandbox sandbox({}, "test", folder.path().string());
  std::ofstream(flag).close();
  const SandboxResult r = sandbox.run({.command = {"/bin/true"}});
  EXPECT_EQ(r.end, End::kRefused);
  EXPECT_EQ(r.errors, "bwrap: no more\n");
}

}  // namespace
}  // namespace lathe::testing
