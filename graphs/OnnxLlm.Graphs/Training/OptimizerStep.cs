using System.Collections.Immutable;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// The updates of one step, parameter by parameter: its scalars are inputs of the graph, its constants those of the settings.
/// An update names each tensor that it changes, the parameter and the optimizer's states, with the new value.
/// </summary>
internal sealed class OptimizerStep
{
    private readonly GraphBuilder _g;
    private readonly OptimizerSettings _settings;
    private readonly ImmutableDictionary<ParameterInfo, double> _factors;
    private readonly Dictionary<double, Value> _rates = [];
    private readonly Value _rate;
    private readonly Value _scale;
    private readonly Value _bias1;
    private readonly Value _bias2;
    private readonly Value _count;
    private Value? _dither;

    public OptimizerStep(GraphBuilder g, Value scale, OptimizerSettings settings, ImmutableDictionary<ParameterInfo, double> factors)
    {
        (_g, _scale, _settings, _factors) = (g, scale, settings, factors);
        _rate = g.Input("learning_rate", ElementType.Float, []);
        _count = g.Input("step", ElementType.Int64, []);
        (_bias1, _bias2) = (g.BiasCorrection(_count, settings.Beta1), g.BiasCorrection(_count, settings.Beta2));
    }

    public IEnumerable<(string State, Value Updated)> Update(ParameterInfo p, Value value, Value gradient) => _settings.Kind switch
    {
        OptimizerKind.AdamW or OptimizerKind.Muon when _settings.HasInt8Moments(p) => QuantizedMoments(p, value, gradient),
        OptimizerKind.AdamW => Moments(AdamW.Forward, p, value, gradient),
        OptimizerKind.Adam => Moments(Adam.Forward, p, value, gradient),
        OptimizerKind.Sgd => [(p.Name, _g.Sgd(value, gradient, Rate(p), _scale, Decay(p)))],
        OptimizerKind.Momentum => OneState(Momentum.Forward, p.MomentumBuffer, p, value, gradient, ("momentum", _settings.Momentum)),
        OptimizerKind.AdaGrad => OneState(AdaGrad.Forward, p.SquareSum, p, value, gradient, ("epsilon", _settings.Epsilon)),
        OptimizerKind.RmsProp => OneState(RmsProp.Forward, p.SquareAverage, p, value, gradient, ("alpha", _settings.Beta2), ("epsilon", _settings.Epsilon)),
        OptimizerKind.Muon when _settings.UpdatesWhole(p) => Muon(p, value, gradient),
        OptimizerKind.Muon => Moments(AdamW.Forward, p, value, gradient),
        _ => throw new GraphException($"There is no optimizer '{_settings.Kind}'."),
    };

    private IEnumerable<(string, Value)> QuantizedMoments(ParameterInfo p, Value value, Value gradient)
    {
        var (codes, scales) = (TensorShape.Of(p.Shape), TensorShape.Of([p.Count / QuantizedAdamW.Block]));
        string[] states = [p.FirstMoment, p.FirstScale, p.SecondMoment, p.SecondScale];
        var moments = states.Select((name, i) => i % 2 == 0 ? _g.Input(name, ElementType.Int8, codes) : _g.Input(name, ElementType.Float, scales));
        var updated = QuantizedAdamW.Forward.Call(_g, [value, gradient, .. moments, Rate(p), _scale, _bias1, _bias2, _dither ??= _g.Dither(_count)], AdamConstants(p));
        return [(p.Name, updated[0]), .. states.Zip(updated.Skip(1))];
    }

    private IEnumerable<(string, Value)> Moments(Function function, ParameterInfo p, Value value, Value gradient)
    {
        var updated = function.Call(
            _g, [value, gradient, State(p, p.FirstMoment), State(p, p.SecondMoment), Rate(p), _scale, _bias1, _bias2], AdamConstants(p));
        return [(p.Name, updated[0]), (p.FirstMoment, updated[1]), (p.SecondMoment, updated[2])];
    }

    private IEnumerable<(string, Value)> OneState(
        Function function, string state, ParameterInfo p, Value value, Value gradient, params (string, AttributeValue)[] attributes)
    {
        var updated = function.Call(_g, [value, gradient, State(p, state), Rate(p), _scale], [.. attributes, ("weight_decay", Decay(p))]);
        return [(p.Name, updated[0]), (state, updated[1])];
    }

    /// <summary>
    /// Muon (Jordan et al., 2024): Nesterov's momentum of the gradient, made orthogonal, with decoupled decay. Times 0.2·√(longer side) the
    /// update is as long as AdamW's usually is (Liu et al., 2025), so one learning rate serves both.
    /// </summary>
    private IEnumerable<(string, Value)> Muon(ParameterInfo p, Value value, Value gradient)
    {
        var (buffer, momentum, rate) = (State(p, p.MomentumBuffer), (double)_settings.Momentum, Rate(p));
        gradient *= _scale;
        var newBuffer = buffer * momentum + gradient * (1 - momentum);
        var direction = Orthogonal(gradient * (1 - momentum) + newBuffer * momentum) * (0.2 * Math.Sqrt(p.Shape.Max()));
        var updated = value - (value * Decay(p) + direction) * rate;
        var chosen = Updates.WhereFinite(_g, _scale, (updated, value), (newBuffer, buffer));
        return [(p.Name, chosen[0]), (p.MomentumBuffer, chosen[1])];
    }

    /// <summary>The shorter side first: the iteration squares it.</summary>
    private Value Orthogonal(Value x) => x.Shape[0].Value <= x.Shape[1].Value
        ? NewtonSchulz.Forward.Call(_g, [x])[0]
        : _g.SwapLastTwo(NewtonSchulz.Forward.Call(_g, [_g.SwapLastTwo(x)])[0]);

    private (string, AttributeValue)[] AdamConstants(ParameterInfo p) =>
        [("beta1", _settings.Beta1), ("beta2", _settings.Beta2), ("epsilon", _settings.Epsilon), ("weight_decay", Decay(p))];

    private Value State(ParameterInfo p, string name) => _g.Input(name, ElementType.Float, TensorShape.Of(p.Shape));

    private Value Rate(ParameterInfo p) =>
        _rates.TryGetValue(_factors[p], out var rate) ? rate : _rates[_factors[p]] = _factors[p] == 1 ? _rate : _rate * _factors[p];

    private float Decay(ParameterInfo p) => p.Decay || _settings.Decay == DecayedParameters.All ? _settings.WeightDecay : 0;
}
