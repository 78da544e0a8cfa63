#if !defined(LATHE_NO_TARGET)
LATHE_END_TARGET
#endif
