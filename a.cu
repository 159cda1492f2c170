#define N 4
#define M(x) x + N
#define TWO(a, b) a b
#define P(x) _Pragma(#x)
#define HASH # define Z 3
#define EMPTY
#define UN unroll
int f(int x) {
#pragma omp parallel for num_threads(N)
  for (int i = 0; i < N; ++i) x += M(i); 
#pragma unroll N
  for (int i = 0; i < 3; ++i) x += TWO(i,
     + N
#ifdef QQ
 1
#endif
     );
#pragma UN N
  for (;;) {}
  P(unroll N) for (;;) { x += __LINE__ + N; x += __COUNTER__; }
  TWO(P(GCC unroll 4), ) for (;;) {}
  TWO(int y = 0;, P(omp parallel for num_threads(N))) for (;;) {}
  const char* s = R"(
#define A 1
#undef N
# 12 "x.cu"
)"; const char* t = TWO("a", R"x(
#define B)x");
  asm("mov" : "=r"(x) : "r"(N)); EMPTY # define G 1
  HASH
#if N > 3 && UNDEFD
#endif
#ident "x"
#pragma STDC FP_CONTRACT OFF
#pragma GCC push_options
#pragma GCC optimize(N)
  M
  (3
   );
  M EMPTY
  ; int z = M(N
   ) + __COUNTER__; EMPTY
#pragma push_macro("N")
#undef N
  N
#pragma pop_macro("N")
  N
  return x; }
