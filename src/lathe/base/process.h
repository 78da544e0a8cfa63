// Facts about this process and its machine.
#pragma once

#include <cstdint>
#include <optional>

namespace lathe {

// The most RAM that this process has used so far, in bytes.
int64_t peak_resident_bytes();

// The RAM that it uses now, in bytes; 0 if the system does not report it.
int64_t resident_bytes();
// Gives the system back what the program has freed and the C library has kept (glibc; elsewhere nothing).
void return_freed_memory();

// RAM of the machine, in bytes; 0 if the system does not report it.
int64_t physical_memory_bytes();

// The number of cores of the system, whoever uses them.
int processor_count();
// The current clock of the first core, in Hz; 0 if the system does not report it.
double processor_hertz();
// The mean number of running or runnable processes in the last minute; nullopt if the system does
// not report it.
std::optional<double> load_average();

}  // namespace lathe
