namespace OnnxLlm.Runtime; internal static class Probe { internal static string V => Microsoft.ML.OnnxRuntime.OrtEnv.Instance().GetVersionString(); }
