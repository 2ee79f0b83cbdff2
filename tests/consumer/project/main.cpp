#include <cstdio>
#include <forkful/forkful.hpp>
#include <string>
#include <vector>

struct Answer {
  std::string text;
  int number;
};

static double scaled(double factor, double number) { return factor * number; }

int main(int argc, char** argv) {
#ifdef CALLS_INIT
  forkful::init(argc, argv);
#else
  (void)argc;
  (void)argv;
#endif
  const std::vector<double> numbers{1, 2, 3};
  forkful::Pool pool(2);
  const std::vector<double> halves = pool.map(forkful::bind(scaled, 0.5), numbers);
  const std::vector<double> squares = pool.map([](double x) { return x * x; }, numbers);

  forkful::Queue<Answer> answers;
  forkful::Process child(
      [](const std::string& name, forkful::Queue<Answer>& to) {
        to.put({.text = "hello " + name, .number = 7});
      },
      "world", answers);
  const Answer answer = answers.get();
  child.join();

  if (halves != std::vector{0.5, 1.0, 1.5} || squares != std::vector{1.0, 4.0, 9.0}) return 1;
  if (child.exit_code() != 0 || answer.number != 7) return 1;
  std::puts(answer.text.c_str());
}
