import Foundation

/// A shell that outlives this process just long enough to kill a worker's descendants.
///
/// The shell reads from a pipe whose other end only this process holds. When this process ends (also by `kill -9`), the
/// system closes that end. The shell then kills the worker's process group and every process that inherited the
/// worker's mark in its environment, even if it left the group or its parent has ended.
package struct ProcessGuard {
  /// The environment variable that marks a worker and its descendants.
  package static let variable = "QUILLAN_REWARD_PROCESS"

  /// The value of `variable` for the worker.
  package let mark: String
  private let process: pid_t
  private let lifeline: Int32

  private static let script = """
    trap '' HUP INT TERM USR1 USR2
    read -r group; read -r order && exit 0
    seconds=0
    while [ "$seconds" -lt "$1" ] && kill -0 "-$group" 2>/dev/null; do sleep 1; seconds=$((seconds + 1)); done
    [ -z "$group" ] || kill -KILL "-$group" 2>/dev/null
    for again in 1 2 3; do
      marked=$(grep -lsF "$0" /proc/[0-9]*/environ 2>/dev/null)
      [ -n "$marked" ] || exit 0
      for file in $marked; do file=${file#/proc/}; kill -KILL "${file%/environ}" 2>/dev/null; done
    done
    """

  /// Starts the shell.
  ///
  /// - Parameter grace: the seconds that the processes have to end by themselves after the end of this process.
  /// - Throws: `ChildProcess.Failure`.
  package init(grace: Int = 0) throws(ChildProcess.Failure) {
    mark = String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
    let pipe = try ChildProcess.pipe()
    defer { close(pipe.read) }
    lifeline = pipe.write
    do {
      process = try ChildProcess.start(
        ["/bin/sh", "-c", Self.script, "\(Self.variable)=\(mark)", "\(grace)"], environment: ["PATH": "/usr/bin:/bin"],
        streams: [pipe.read, nil, nil])
    } catch {
      close(pipe.write)
      throw error
    }
  }

  /// Tells the shell which group to kill.
  package func watch(group: pid_t) {
    let line = Array("\(group)\n".utf8)
    _ = write(lifeline, line, line.count)
  }

  /// Makes the shell kill the processes, and waits for it.
  package func end() {
    close(lifeline)
    awaitShell()
  }

  /// Ends the shell, which leaves the processes alone.
  package func release() {
    let line = Array("release\n".utf8)
    _ = write(lifeline, line, line.count)
    end()
  }

  private func awaitShell() {
    var status: Int32 = 0
    // Far longer than needed; a shell that does not end must not block this process.
    for _ in 0..<2000 {
      guard waitpid(process, &status, WNOHANG) == 0 else { return }
      usleep(1000)
    }
    kill(process, SIGKILL)
    waitpid(process, &status, 0)
  }
}
