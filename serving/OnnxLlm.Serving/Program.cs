return await OnnxLlm.Serving.Server.RunAsync(args);
