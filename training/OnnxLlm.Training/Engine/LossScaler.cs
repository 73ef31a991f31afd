using System.Text.Json;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// The factor that lifts gradients into the range of float16 (Micikevicius et al., 2017): halved when they overflow, doubled after a while without.
/// Always a power of two, so that it changes no bit of a gradient that stays in range.
/// </summary>
internal sealed class LossScaler(LossScaleConfig config)
{
    private const string StateFile = "loss_scale.json";
    private const float Smallest = 1, Largest = 1 << 30;

    private State _state = new(config.Initial, 0);

    private sealed record State(float Scale, int GoodSteps);

    public float Scale => _state.Scale;

    /// <summary>The last update was left out because the scale was too large, and the scale has been lowered.</summary>
    public bool Overflowed { get; private set; }

    /// <summary>To be told of every update whether its gradients were finite.</summary>
    public void Observe(bool finite)
    {
        Overflowed = !finite && Scale > Smallest;
        if (!finite) _state = new(Math.Max(Smallest, Scale / 2), 0);
        else if (_state.GoodSteps + 1 < config.GrowthInterval) _state = _state with { GoodSteps = _state.GoodSteps + 1 };
        else _state = new(Math.Min(Largest, Scale * 2), 0);
    }

    public void Save(string folder) => File.WriteAllText(Path.Combine(folder, StateFile), JsonSerializer.Serialize(_state, StrictJson.Options));

    public void Load(string folder) => _state = JsonSerializer.Deserialize<State>(File.ReadAllText(Path.Combine(folder, StateFile)), StrictJson.Options)!;
}
