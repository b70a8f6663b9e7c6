import ArgumentParser
import CMPI
import Foundation
import MPI
import Tensors

/// Start and end of the process: parses the command line, runs the command, and turns every error into one line on
/// stderr and an exit code.
enum CommandRunner {
  /// Runs the command that `arguments` names.
  static func main(_ arguments: [String]) -> Never {
    StandardErrorLog.install()
    do {
      try ProcessStart.prepare()
      try checkInstructionSet()
      try CommandNames.check(arguments)
      var command = try Quillan.parseAsRoot(arguments)
      try command.run()
      Foundation.exit(ExitStatus.done.rawValue)
    } catch let status as ExitStatus {
      Foundation.exit(status.rawValue)
    } catch {
      end(error)
    }
  }

  /// Rejects a `QUILLAN_ISA` or `QUILLAN_BF16_DOT` that this machine lacks, instead of silently running other kernels.
  private static func checkInstructionSet() throws {
    let choices = [("QUILLAN_ISA", Kernels.available), ("QUILLAN_BF16_DOT", Kernels.bfloat16Dots)]
    for (variable, supported) in choices {
      guard let wanted = ProcessInfo.processInfo.environment[variable], !supported.contains(wanted) else { continue }
      throw CommandError(
        .usage, "\(variable) is '\(wanted)', but this machine supports \(supported.joined(separator: ", "))",
        remedy: "unset \(variable), or set it to one of these")
    }
  }

  /// Starts MPI, runs `body` on all ranks, and ends the process with the status that `body` returns.
  ///
  /// An error that only this rank knows aborts all ranks (`MPI_Abort`); after an `AgreedError` all ranks finalise MPI
  /// and exit. All ranks must return the same status.
  static func onRanks(_ body: (Communicator) throws -> ExitStatus) -> Never {
    do {
      let world = try Environment.initialize()
      try ForeignLauncher.check(world)
      try RankWatch.start(world)
      let status = try body(world)
      Environment.exit(status.rawValue)
    } catch let error as AgreedError {
      if let cause = error.cause { report(cause) }
      Environment.exit(ExitStatus(error).rawValue)
    } catch {
      // A lower rank reports the same error and aborts all ranks.
      if (error as? MPIError)?.isEchoed == true { Thread.sleep(forTimeInterval: 2) }
      report(error)
      RankWatch.leave()
      fflush(nil)
      if let world = Environment.world, world.size > 1 { MPI_Abort(cmpi_comm_world(), ExitStatus(error).rawValue) }
      Foundation.exit(ExitStatus(error).rawValue)
    }
  }

  /// Ends a command that did not start MPI.
  private static func end(_ error: any Error) -> Never {
    switch Quillan.exitCode(for: error) {
    case .success:
      do {
        try StandardOutput.write(Quillan.fullMessage(for: error) + "\n")
      } catch {
        end(error)
      }
      Foundation.exit(ExitStatus.done.rawValue)
    case .validationFailure:
      waitForFirstRank()
      report("\(Quillan.message(for: error)); see '\(helpCommand(for: error))'")
      Foundation.exit(ExitStatus.usage.rawValue)
    default:
      waitForFirstRank()
      report(error)
      Foundation.exit(ExitStatus(error).rawValue)
    }
  }

  /// Under mpirun, an error before MPI starts usually occurs on every rank. Rank 0 reports it, and mpirun then ends the
  /// other ranks while they wait here.
  private static func waitForFirstRank() {
    if ProcessRank.current.rank > 0 { Thread.sleep(forTimeInterval: 2) }
  }

  /// The `quillan … --help` that the argument parser recommends for an error.
  private static func helpCommand(for error: any Error) -> String {
    let recommended = Quillan.fullMessage(for: error).split(separator: "'").first {
      $0.hasPrefix("quillan ") && $0.hasSuffix(" --help")
    }
    return recommended.map(String.init) ?? "quillan --help"
  }

  /// Writes one line about `error` to stderr.
  static func report(_ error: any Error) {
    report(error is CocoaError ? error.localizedDescription : "\(error)")
  }

  /// Writes one line to stderr in one call, so that lines of different ranks do not mix; names the rank if there are
  /// several.
  static func report(_ message: String) {
    let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    let place = ProcessRank.current
    StandardErrorLog.write("quillan: \(place.size > 1 ? "rank \(place.rank): " : "")\(PlainText.escaped(text))\n")
  }
}
