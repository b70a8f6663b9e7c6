import Configuration
import Models
import Planning
import Testing

/// Work and bytes of small sizes, computed by hand.
@Suite struct ModelWorkTests {
  @Test("The work of a token is the sum of its products weighted by format, and twice as many in the backward pass")
  func work() {
    let work = ModelWork(PlanFixture.configuration(), positions: 7)
    // Attention 4·10², router 4·10, experts 2·2·10·20, agents 2·2·2·10·4, routers of the mini-MoEs 2·(3 + 5)·10,
    // Overseer 2·10·40, latents 10²; attention itself 2·7·10.
    let (low, floating, attention): (Double, Double, Double) = (1620, 1000, 140)
    let forward: Double = 0.55 * low + 2 * floating + 3 * attention
    let products = low + floating
    // In and out 10² each; two blocks of 2·10·30 + 30².
    let denoiser: Double = 3200
    func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-9 * expected }
    #expect(close(work.forward, forward))
    #expect(close(work.denoiser, 0.55 * denoiser))
    let backward: Double = 2 * (products + denoiser + 3 * attention)
    #expect(close(work.backward, backward))
    #expect(close(work.head, 3000) && close(work.headBackward, 6000))
    let recomputed: Double = 2 * forward + work.denoiser + backward + 0.5 * 9000
    #expect(close(work.training(predicted: 0.5, recomputed: true), recomputed))
    #expect(close(work.sampling, forward + 3 * work.denoiser + 3000))
    let single = ModelWork(PlanFixture.configuration { $0.rl.useMixedPrecision = false }, positions: 7)
    let twice: Double = 2 * (2 * (products + denoiser) + 3 * attention)
    #expect(close(single.backward, twice))
  }

  @Test("One sequence reads the experts that it visits; many sequences read all experts")
  func decoding() throws {
    let configuration = PlanFixture.configuration()
    let parameters = try PlanFixture.parameters(configuration)
    let bytes = DecodingBytes(configuration, parameters)
    func part(_ name: String) -> Double {
      parameters.parts.filter { $0.part == name && $0.component == "mini_moes" }.reduce(0) {
        $0 + Double($1.packedBytes)
      }
    }
    // 2 of 4 mini-MoEs, in each 1 of 3 experts and 2 of 5 agents.
    let one = part("experts") * 2 / 4 / 3 + part("micro agents") * 2 / 4 * 2 / 5
    let all = part("experts") + part("micro agents")
    #expect(abs(bytes.bytes(batch: 10_000) - bytes.bytes(batch: 1) - (all - one)) < 1e-6 * all)
  }
}
