import Foundation
import Testing

@Suite("Bench", .serialized)
struct BenchTests {
  private struct Kernels: Decodable {
    struct Row: Decodable {
      let operation: String
      let seconds: Double
    }

    let rows: [Row]
  }

  private struct Messages: Decodable {
    struct Row: Decodable {
      let bytes: Int
      let ratio: Double
    }

    let ranks: Int
    let rows: [Row]
  }

  @Test("The kernels are timed in every format")
  func kernels() throws {
    let outcome = try Program.run("bench", "kernels", "--seconds", "0.001", "--json", seconds: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let rows = try JSONDecoder().decode(Kernels.self, from: Data(outcome.output.utf8)).rows
    for format in ["fp32", "fp16", "bf16", "ternary", "int4", "int8"] {
      #expect(rows.contains { $0.operation == "\(format) 16×1024×512" }, "\(format)")
    }
    #expect(rows.allSatisfy { $0.seconds > 0 })
    #expect(try Program.run("bench", "kernels", "--seconds", "0.001", seconds: 120).output.contains("attention"))
  }

  @Test("Message passing is timed from 1 KiB to 64 MiB, and rank 0 prints")
  func messages() throws {
    let outcome = try Program.run(ranks: 2, "bench", "mpi", "--seconds", "0.001", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let report = try JSONDecoder().decode(Messages.self, from: Data(outcome.output.utf8))
    #expect(report.ranks == 2)
    #expect(report.rows.first?.bytes == 1024)
    #expect(report.rows.last?.bytes == 64 << 20)
    #expect(report.rows.allSatisfy { $0.ratio > 0 })
  }
}
