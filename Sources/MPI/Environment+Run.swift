internal import CMPI
import Glibc

extension Environment {
  /// Starts MPI, runs `body` and exits with the code that it returns.
  ///
  /// All ranks must return the same code. If `body` throws on any rank, that rank prints one line, and all ranks exit
  /// with code 1 (`abort`).
  public static func run(_ body: (Communicator) throws -> Int32) -> Never {
    do {
      exit(try body(initialize()))
    } catch {
      abort(error)
    }
  }

  /// Finalizes MPI and exits. All ranks must call it, with the same code.
  public static func exit(_ code: Int32) -> Never {
    RankWatch.leave()
    fflush(nil)
    do {
      try finalize()
    } catch {
      report(error)
      Glibc.exit(code == 0 ? 1 : code)
    }
    Glibc.exit(code)
  }

  /// Prints `error` in one line that names this rank, and ends all ranks with exit code 1.
  ///
  /// Any rank may call it at any time, without the others. mpirun prints a paragraph in addition.
  public static func abort(_ error: any Error) -> Never {
    report(error)
    RankWatch.leave()
    fflush(nil)
    guard let world, world.size > 1 else { Glibc.exit(1) }
    MPI_Abort(world.handle, 1)
    Glibc._exit(1)
  }

  private static func report(_ error: any Error) {
    report("\(error)")
  }

  /// Writes one line to stderr, which names this rank if there are several.
  static func report(_ message: String) {
    report(unsigned: (world.map { $0.size > 1 ? "rank \($0.rank): " : "" } ?? "") + message)
  }

  /// Writes one line to stderr in one system call, so that lines of several ranks do not mix.
  static func report(unsigned message: String) {
    let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    let line = Array("quillan: \(PlainText.escaped(text))\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
  }
}
