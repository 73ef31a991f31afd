namespace OnnxLlm.Runtime.Kernels;

/// <summary>One float: the tail of a row, or a machine without vectors.</summary>
internal readonly unsafe struct ScalarLane(float value) : ILanes<ScalarLane>
{
    private readonly float _value = value;

    public static int Count => 1;

    public static ScalarLane Load(float* source) => new(*source);

    public static ScalarLane Load(sbyte* source) => new(*source);

    public static ScalarLane Load(ushort* source) => new(BitConverter.UInt32BitsToSingle((uint)*source << 16));

    public static void Store(ScalarLane value, float* target) => *target = value._value;

    public static void Store(ScalarLane whole, sbyte* target) => *target = (sbyte)whole._value;

    public static ScalarLane All(float value) => new(value);

    public static ScalarLane operator +(ScalarLane a, ScalarLane b) => new(a._value + b._value);

    public static ScalarLane operator -(ScalarLane a, ScalarLane b) => new(a._value - b._value);

    public static ScalarLane operator *(ScalarLane a, ScalarLane b) => new(a._value * b._value);

    public static ScalarLane operator /(ScalarLane a, ScalarLane b) => new(a._value / b._value);

    public static ScalarLane MultiplyAdd(ScalarLane a, ScalarLane b, ScalarLane c) => new(a._value * b._value + c._value);

    public static ScalarLane Maximum(ScalarLane a, ScalarLane b) => a._value > b._value ? a : b;

    public static ScalarLane Minimum(ScalarLane a, ScalarLane b) => a._value < b._value ? a : b;

    public static ScalarLane SquareRoot(ScalarLane value) => new(MathF.Sqrt(value._value));

    public static ScalarLane Floor(ScalarLane value) => new(MathF.Floor(value._value));

    public static ScalarLane PowerOfTwo(ScalarLane whole) => new(MathF.ScaleB(1, (int)whole._value));

    public static ScalarLane Exp2(ScalarLane x) => new(MathF.Pow(2f, x._value));

    public static float Sum(ScalarLane value) => value._value;

    public static void StoreSums(ScalarLane a, ScalarLane b, ScalarLane c, ScalarLane d, float* target) =>
        (target[0], target[1], target[2], target[3]) = (a._value, b._value, c._value, d._value);

    public static float Largest(ScalarLane value) => value._value;

    public static ScalarLane Indices => new(0);

    public static ScalarLane WhereLess(ScalarLane a, ScalarLane b, ScalarLane value, ScalarLane otherwise) => a._value < b._value ? value : otherwise;

    public static bool Same(ScalarLane a, ScalarLane b) => a._value == b._value;
}
