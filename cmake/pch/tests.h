// What most tests include, precompiled (cmake/lathe.cmake).
#pragma once

#include <gtest/gtest.h>

#include "lathe.h"
