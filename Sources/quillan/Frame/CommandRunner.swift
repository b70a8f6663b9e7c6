import ArgumentParser
import CMPI
import Foundation
import MPI
import Tensors

/// How the process begins and ends: parses the command line, runs the command, and turns every error into one line
/// on stderr and an exit code.
enum CommandRunner {
  /// Runs the command that `arguments` name.
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

  /// Refuses a `QUILLAN_ISA` that this machine does not have, rather than run on other kernels than were asked for.
  private static func checkInstructionSet() throws {
    guard let wanted = ProcessInfo.processInfo.environment["QUILLAN_ISA"], !Kernels.available.contains(wanted) else {
      return
    }
    throw CommandError(
      .usage,
      "QUILLAN_ISA is '\(wanted)', this machine has \(Kernels.available.joined(separator: ", ")); unset it or name one")
  }

  /// Runs `body` on all ranks, under MPI, and ends the process with the status that it returns.
  ///
  /// Errors that only this rank knows of end all ranks at once (`MPI_Abort`); an `AgreedError` ends them in good
  /// order. All ranks must return the same status.
  static func onRanks(_ body: (Communicator) throws -> ExitStatus) -> Never {
    do {
      let world = try Environment.initialize()
      try RankWatch.start(world)
      let status = try body(world)
      Environment.exit(status.rawValue)
    } catch let error as AgreedError {
      if let spoken = error.spoken { report(spoken) }
      Environment.exit(error.status.rawValue)
    } catch {
      // A lower rank says the same and ends all.
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
      letFirstRankSpeak()
      report("\(Quillan.message(for: error)); see '\(helpCommand(for: error))'")
      Foundation.exit(ExitStatus.usage.rawValue)
    default:
      letFirstRankSpeak()
      report(error)
      Foundation.exit(ExitStatus(error).rawValue)
    }
  }

  /// Under mpirun, an error before MPI starts is mostly every rank's: rank 0's exit ends the others while they wait.
  private static func letFirstRankSpeak() {
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

  /// Writes one line to stderr, naming the rank where there are several, by one call so that ranks do not mix.
  static func report(_ message: String) {
    let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    let place = ProcessRank.current
    StandardErrorLog.write("quillan: \(place.size > 1 ? "rank \(place.rank): " : "")\(PlainText.escaped(text))\n")
  }
}
